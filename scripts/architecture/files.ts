// The project's own source files, read from disk.
import { readdir, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { SourceFile } from './imports.ts';

const FOLDERS = ['agent', 'client', 'native', 'proto', 'scripts', 'test'];
const SOURCE = /\.(ts|mts|mjs|js|cjs|c|h|cc|cpp|hpp|py|sh)$/;

/** Everything under the source folders, with its path from `root`. */
export async function readSources(root: string): Promise<SourceFile[]> {
  const lists = await Promise.all(FOLDERS.map((folder) => list(root, folder)));
  return Promise.all(
    lists
      .flat()
      .sort()
      .map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') })),
  );
}

async function list(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true, recursive: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && SOURCE.test(entry.name))
    .map((entry) => posix.join(entry.parentPath.slice(root.length + 1), entry.name))
    .filter((path) => !/\/(node_modules|build)\//.test(path));
}
