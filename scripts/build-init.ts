// Builds native/init into build/native/berth-init: one static binary for PID 1, the initramfs and the subreaper.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ExecaError, execa } from 'execa';

const ROOT = join(import.meta.dirname, '..');
const SOURCES = join(ROOT, 'native/init');
const WARNINGS = ['-std=c11', '-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion', '-Werror'];
const RELEASE = ['-O2', '-static', '-s', '-fstack-protector-strong', '-D_FORTIFY_SOURCE=2', '-Wl,--build-id=none'];
const SANITIZE = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];

export interface BuildInitOptions {
  /** Builds build/native/asan/berth-init instead: dynamic, under AddressSanitizer and UndefinedBehaviorSanitizer. */
  sanitize?: boolean;
}

/** Builds berth-init unless it is up to date. @returns its path */
export async function buildInit(options: BuildInitOptions = {}): Promise<string> {
  const output = join(ROOT, 'build/native', options.sanitize ? 'asan/berth-init' : 'berth-init');
  const label = options.sanitize ? 'init (asan)' : 'init';
  const flags = [...WARNINGS, ...(options.sanitize ? SANITIZE : RELEASE)];
  const files = (await readdir(SOURCES)).filter((name) => /\.[ch]$/.test(name)).sort();
  const wanted = await inputsHash(files, flags);
  const built = await readFile(`${output}.inputs`, 'utf8').catch(() => '');
  if (built === wanted && (await stat(output).catch(() => undefined)) !== undefined) {
    console.log(`${label}: up to date`);
    return output;
  }
  const started = performance.now();
  await mkdir(dirname(output), { recursive: true });
  const sources = files.filter((name) => name.endsWith('.c'));
  const result = await execa('gcc', [...flags, '-o', `${output}.new`, ...sources], { cwd: SOURCES, all: true, reject: false });
  if (result.failed) throw new Error(`berth-init did not build:\n${result.all}`);
  await rename(`${output}.new`, output);
  await writeFile(`${output}.inputs`, wanted);
  console.log(`${label}: built in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return output;
}

async function inputsHash(files: readonly string[], flags: readonly string[]): Promise<string> {
  const compiler = await execa('gcc', ['--version']).catch((error: unknown) => {
    if (error instanceof ExecaError && error.code === 'ENOENT') {
      throw new Error('berth-init needs a C compiler: install the packages gcc and libc6-dev');
    }
    throw error;
  });
  const hash = createHash('sha256').update(`${compiler.stdout}\n${flags.join(' ')}\n`);
  for (const name of files) hash.update(`${name}\0`).update(await readFile(join(SOURCES, name)));
  return `${hash.digest('hex')}\n`;
}

if (import.meta.main) {
  await buildInit({ sanitize: process.argv.includes('--sanitize') });
}
