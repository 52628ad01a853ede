// Where the bundle of an upgrade lies and where it came from, for the agent that runs from it and for the one that runs in its place.
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

export const INCOMING = 'incoming';
export const ORIGIN_FILE = 'origin.json';

export interface Origin {
  /** Of the archive, in hex. */
  readonly sha256: string;
  readonly version: string;
  readonly commit: string;
  /** The agent that took it in. */
  readonly from: { readonly version: string; readonly commit: string };
}

/** Agents lie here, a directory each. */
export function bundlesDir(stateDir: string): string {
  return join(stateDir, 'agents');
}

/** The name below `bundles` of what this process runs from; undefined for the agent of the image. */
export function runsFrom(bundles: string, script = process.argv[1] ?? ''): string | undefined {
  const directory = dirname(script);
  return dirname(directory) === resolve(bundles) ? basename(directory) : undefined;
}

/** Of the bundle that this process runs from; undefined for the agent of the image. */
export async function runningOrigin(stateDir: string): Promise<Origin | undefined> {
  const name = runsFrom(bundlesDir(stateDir));
  return name === undefined ? undefined : await readOrigin(join(bundlesDir(stateDir), name));
}

/**
 * The event for what berth-init says of an upgrade in BERTH_UPGRADE (native/init/keeper.h); undefined when it says nothing.
 * @param word `new:/path/main.js` or `failed:/path/main.js`
 */
export async function upgradeEvent(
  word: string | undefined,
): Promise<{ kind: 'agent.upgraded' | 'agent.upgrade_failed'; fields: Record<string, string> } | undefined> {
  const [, outcome, script = ''] = /^(new|failed):(.*)$/.exec(word ?? '') ?? [];
  if (outcome === undefined) return undefined;
  const origin = await readOrigin(dirname(script));
  const kind = outcome === 'new' ? 'agent.upgraded' : 'agent.upgrade_failed';
  if (origin === undefined) return { kind, fields: {} };
  const { sha256, version, commit, from } = origin;
  return { kind, fields: { bundle: sha256, version, commit, 'from-version': from.version, 'from-commit': from.commit } };
}

/** Undefined when it can't be read: what is told is less then. */
async function readOrigin(directory: string): Promise<Origin | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, ORIGIN_FILE), 'utf8')) as Origin;
  } catch {
    return undefined;
  }
}
