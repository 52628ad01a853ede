// Builds native/addon into build/native/berth.node with node-gyp, against the pinned Node's own headers.
// Sources are copied below build/ first, so that the source tree stays clean and make rebuilds only what changed.
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ExecaError, execa } from 'execa';
import { nodeHeaders } from './node-headers.ts';

const ROOT = join(import.meta.dirname, '..');
const SOURCES = join(ROOT, 'native/addon');
const ADDON_API = join(ROOT, 'node_modules/node-addon-api');

export interface BuildNativeOptions {
  /**
   * Builds build/native/asan/berth.node under AddressSanitizer and UndefinedBehaviorSanitizer instead, and beside it
   * canary.node, which has errors for them to find.
   */
  sanitize?: boolean;
}

/** Builds the addon unless it is up to date. @returns its path */
export async function buildNative(options: BuildNativeOptions = {}): Promise<string> {
  const sanitize = options.sanitize ?? false;
  const folder = join(ROOT, 'build/native', sanitize ? 'asan' : '');
  const products = sanitize ? ['canary.node', 'berth.node'] : ['berth.node'];
  const output = join(folder, 'berth.node');
  const label = sanitize ? 'addon (sanitized)' : 'addon';
  const flags = [`-Dsanitize=${sanitize ? 1 : 0}`];

  const files = (await readdir(SOURCES)).filter((name) => /\.(cc|h|gyp)$/.test(name)).sort();
  const toolchain = await toolchainHash(flags);
  const sources = await contentHash(files.map((name) => join(SOURCES, name)));
  const wanted = `${toolchain}\n${sources}\n`;
  const built = await readFile(`${output}.inputs`, 'utf8').catch(() => '');
  if (built === wanted && (await readFile(output).catch(() => undefined)) !== undefined) {
    console.log(`${label}: up to date`);
    return output;
  }

  const started = performance.now();
  console.log(`${label}: compiling`);
  const stage = join(ROOT, 'build/native/gyp', sanitize ? 'asan' : 'release');
  if (!built.startsWith(toolchain)) await rm(stage, { recursive: true, force: true });
  await copyChanged(files, stage);
  await compile(stage, flags);
  await mkdir(folder, { recursive: true });
  for (const product of products) await install(join(stage, 'build/Release', product), join(folder, product));
  await writeFile(`${output}.inputs`, wanted);
  console.log(`${label}: built in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return output;
}

/** Puts a whole file in place at once: another process may be loading it. */
async function install(from: string, to: string): Promise<void> {
  await copyFile(from, `${to}.new`);
  await rename(`${to}.new`, to);
}

async function contentHash(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(`${path.slice(ROOT.length)}\0`).update(await readFile(path));
  return hash.digest('hex');
}

/** What decides the result besides the sources: compiler, Node headers, node-addon-api, flags. */
async function toolchainHash(flags: readonly string[]): Promise<string> {
  const compiler = await execa('g++', ['--version']).catch((error: unknown) => {
    if (error instanceof ExecaError && error.code === 'ENOENT') {
      throw new Error('the addon needs a C++ compiler: install the packages g++, make and python3');
    }
    throw error;
  });
  const packages = ['node', 'node-addon-api', 'node-gyp'].map((name) => join(ROOT, 'node_modules', name, 'package.json'));
  return createHash('sha256')
    .update(`${compiler.stdout}\n${await contentHash(packages)}\n${flags.join(' ')}`)
    .digest('hex');
}

async function copyChanged(files: readonly string[], stage: string): Promise<void> {
  await mkdir(stage, { recursive: true });
  for (const name of files) {
    const [from, to] = await Promise.all([readFile(join(SOURCES, name)), readFile(join(stage, name)).catch(() => undefined)]);
    if (to === undefined || !from.equals(to)) await writeFile(join(stage, name), from);
  }
}

async function compile(stage: string, flags: readonly string[]): Promise<void> {
  const nodeGyp = join(ROOT, 'node_modules/node-gyp/bin/node-gyp.js');
  const nodedir = await nodeHeaders();
  // node-gyp lets npm_config_* of the environment win over its own arguments; npm sets them from .npmrc.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name)));
  const gyp = async (command: string[]) => {
    const result = await execa(process.execPath, [nodeGyp, ...command], {
      cwd: stage,
      env,
      extendEnv: false,
      all: true,
      reject: false,
    });
    if (result.failed) throw new Error(`the addon did not build (node-gyp ${command[0]}):\n${result.all}`);
  };
  const variables = [...flags, `-Daddon_api=${ADDON_API}`, `-Droot=${ROOT}`];
  await gyp(['configure', `--nodedir=${nodedir}`, '--', ...variables]);
  await gyp(['build', '--jobs=max']);
}

if (import.meta.main) {
  await buildNative({ sanitize: process.argv.includes('--sanitize') });
}
