// Writes docs/api: the TypeScript API from the doc comments of client/index.ts, the protocol from those of proto/berth/v1. A test compares them
// with what would be written, so neither can drift. `npm run docs` after a change.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderProtocol } from './proto-reference.ts';
import { renderTypeScript } from './typescript-reference.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const DIRECTORY = join(ROOT, 'docs/api');

/** The text of each page by its file name. */
export async function renderReference(): Promise<Readonly<Record<string, string>>> {
  const protos = (await readdir(join(ROOT, 'proto/berth/v1'))).filter((name) => name.endsWith('.proto')).sort();
  return { 'typescript.md': renderTypeScript(ROOT), 'berth.v1.md': renderProtocol(join(ROOT, 'proto'), protos) };
}

if (import.meta.main) {
  await mkdir(DIRECTORY, { recursive: true });
  for (const [name, text] of Object.entries(await renderReference())) await writeFile(join(DIRECTORY, name), text);
}
