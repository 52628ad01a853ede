// The mount points that the agent made, with the directories above them: whoever is the last to leave one removes it.
import { makeDirectory, makeFile, removeEmpty, splitPath } from './guest-path.ts';

/** More are left behind when they are not needed any more. */
const MAX_PATHS = 8192;

/** Made here, and there still as far as anybody knows; each time it is made it is another. */
const made = new Map<string, symbol>();

/** Makes what is missing of a directory, or of an empty file and what is above it, to be removed by `leave`. */
export async function make(path: string, kind: 'directory' | 'file' = 'directory'): Promise<void> {
  const paths = kind === 'directory' ? await makeDirectory(path) : await makeFile(path);
  if (made.size + paths.length <= MAX_PATHS) for (const path of paths) made.set(path, Symbol(path));
}

/** Removes the path, and what is above it, as far as they were made here and hold nothing. May be repeated. */
export async function leave(path: string): Promise<void> {
  for (let at = path, one = made.get(at); one !== undefined; at = splitPath(at).parent, one = made.get(at)) {
    if (!(await removeEmpty(at))) return;
    // Unless somebody has made it anew meanwhile.
    if (made.get(at) === one) made.delete(at);
  }
}

/** The path and those above it that were made here: for an agent that comes after this one. */
export function madeUpTo(path: string): string[] {
  const paths: string[] = [];
  for (let at = path; made.has(at); at = splitPath(at).parent) paths.push(at);
  return paths;
}

/** As an earlier agent made them. */
export function adoptMade(paths: readonly string[]): void {
  for (const path of paths) if (made.size < MAX_PATHS) made.set(path, Symbol(path));
}
