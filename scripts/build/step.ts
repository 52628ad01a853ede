// A build step that runs only when what it is made from has changed: the hash of its inputs is kept under build/.stamps.
import { createHash } from 'node:crypto';
import { access, lstat, mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { say, timed } from '../bootstrap/progress.mjs';
import { ROOT, STAMPS } from './paths.ts';

export interface Step {
  /** File name of the stamp. */
  id: string;
  /** What the person reads. */
  label: string;
  /** Files and folders; a missing one is an error. */
  inputs: readonly string[];
  /** Other things the result depends on: versions of tools, options. */
  facts?: readonly string[];
  /** Files that have to exist for the step to be reused. */
  outputs: readonly string[];
  run(): Promise<void>;
}

/** Runs the step unless its inputs are those it was last built from. @returns whether it ran */
export async function runStep(step: Step): Promise<boolean> {
  const stamp = path.join(STAMPS, step.id);
  const hash = await hashInputs(step.inputs, step.facts ?? [], ROOT);
  const upToDate = (await readFile(stamp, 'utf8').catch(() => '')) === hash && (await allExist(step.outputs));
  if (upToDate) {
    say(`${step.label}: reused`);
    return false;
  }
  // Without a stamp a step that is cut short runs again.
  await rm(stamp, { force: true });
  await timed(step.label, () => step.run());
  await mkdir(STAMPS, { recursive: true });
  await writeFile(stamp, hash);
  return true;
}

/** Makes the step run next time, whatever its inputs. */
export async function forgetStep(id: string): Promise<void> {
  await rm(path.join(STAMPS, id), { force: true });
}

async function allExist(files: readonly string[]): Promise<boolean> {
  const found = await Promise.all(
    files.map((file) =>
      access(file).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.every(Boolean);
}

/**
 * SHA-256 over names (relative to `base`), kinds, executable bits and contents of everything under `inputs`, and `facts`.
 * The order in which inputs are named and directories are read makes no difference; time stamps and owners neither.
 */
export async function hashInputs(inputs: readonly string[], facts: readonly string[], base: string): Promise<string> {
  const lines: string[] = [];
  for (const input of inputs) await describe(path.resolve(base, input), base, lines);
  const hash = createHash('sha256');
  for (const line of [...new Set(lines)].sort()) hash.update(`${line}\n`);
  for (const fact of facts) hash.update(`fact ${JSON.stringify(fact)}\n`);
  return hash.digest('hex');
}

async function describe(file: string, base: string, lines: string[]): Promise<void> {
  const info = await lstat(file);
  const name = JSON.stringify(path.relative(base, file));
  if (info.isDirectory()) {
    lines.push(`directory ${name}`);
    for (const entry of await readdir(file)) await describe(path.join(file, entry), base, lines);
  } else if (info.isSymbolicLink()) {
    lines.push(`link ${name} ${JSON.stringify(await readlink(file))}`);
  } else {
    const content = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    lines.push(`file ${name} ${info.mode & 0o100 ? 'x' : '-'} ${content}`);
  }
}
