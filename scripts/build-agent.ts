// Bundles the agent into build/agent: main.js, and chunks/ for what is loaded when first needed.
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import type { BundleFacts } from '../agent/guest/upgrade/bundle-facts.ts';
import { JOURNAL_SCHEMA } from '../agent/keeper/journal-format.ts';
import { KEEPER_VERSION } from '../agent/keeper/wire.ts';
import { AGENT_VERSION } from '../agent/version.ts';
import { AGENT, ROOT } from './build/paths.ts';
import { runStep } from './build/step.ts';

/** Brings build/agent up to date. */
export async function buildAgent(): Promise<void> {
  const commit = await lastCommit(['agent', 'native', 'proto']);
  await runStep({
    id: 'agent',
    label: 'agent bundle',
    inputs: ['agent', 'native/index.ts', 'build/proto', 'package-lock.json', 'tsconfig.json', 'scripts/build-agent.ts'],
    facts: [commit],
    outputs: [path.join(AGENT, 'main.js')],
    run: () => bundle(AGENT, commit, false),
  });
}

/** A bundle for tests, which dies at the point whose label it finds in the file `faultPointFile` (agent/fault-point.ts). */
export async function buildFaultyAgent(directory: string, faultPointFile: string): Promise<void> {
  await bundle(directory, 'faulty', faultPointFile);
}

async function bundle(directory: string, commit: string, faultPoints: string | false): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: { main: 'agent/main.ts' },
    outdir: directory,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Names stay readable in stack traces and profiles.
    minifySyntax: true,
    minifyWhitespace: true,
    keepNames: true,
    legalComments: 'none',
    // grpc-js wants it only for channelz, which the agent does not serve.
    external: ['@grpc/proto-loader'],
    // CommonJS packages inside an ES module bundle ask for Node's own modules through require.
    banner: {
      js: "import { createRequire as createRequire$ } from 'node:module'; const require = createRequire$(import.meta.url);",
    },
    // Tests run the sources; what is shipped has no points to die at.
    define: { BERTH_COMMIT: JSON.stringify(commit), BERTH_FAULT_POINTS: JSON.stringify(faultPoints) },
    logLevel: 'warning',
  });
  // Without it Node would try each file as CommonJS first.
  await writeFile(path.join(directory, 'package.json'), `${JSON.stringify(await describe(commit), null, 2)}\n`);
}

/** What an agent that this bundle is sent to has to know of it (agent/guest/upgrade/bundle-facts.ts). */
async function describe(commit: string): Promise<{ type: 'module'; version: string; berth: Omit<BundleFacts, 'version'> }> {
  const door = await readFile(path.join(ROOT, 'native/index.ts'), 'utf8');
  const [, members = ''] = /^export interface Native \{\n(.*?)^\}$/ms.exec(door) ?? [];
  const addon = [...members.matchAll(/^ {2}(\w+)\(/gm)].map(([, verb]) => verb!);
  if (addon.length === 0) throw new Error('native/index.ts: no verbs found in the interface Native');
  const node = Number(process.versions.node.split('.')[0]);
  return {
    type: 'module',
    version: AGENT_VERSION,
    berth: { commit, journal: JOURNAL_SCHEMA, keeper: KEEPER_VERSION, node, addon },
  };
}

/** The last commit that changed any of `paths`, marked when they have changed since; 'unknown' outside a git checkout. */
async function lastCommit(paths: readonly string[]): Promise<string> {
  const git = (...args: string[]) => promisify(execFile)('git', ['-C', ROOT, ...args, '--', ...paths]);
  try {
    const { stdout: commit } = await git('log', '-1', '--format=%H');
    const { stdout: changes } = await git('status', '--porcelain');
    return `${commit.trim() || 'unknown'}${changes === '' ? '' : '-dirty'}`;
  } catch {
    return 'unknown';
  }
}

if (import.meta.main) await buildAgent();
