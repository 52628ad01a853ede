// A share, a place outside it that must never change, and requests.
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfinedDoor } from '../../../../agent/guest/files/confined-directory.ts';
import type { CopyRequest } from '../../../../agent/guest/files/copy-request.ts';
import { FileCopier } from '../../../../agent/guest/files/file-copier.ts';
import { native } from '../../../../native/index.ts';

export const FILE = 0o100644;
export const DIRECTORY = 0o040755;
export const LINK = 0o120777;

export interface CopyFixture {
  readonly folder: string;
  readonly share: string;
  readonly outside: string;
  readonly copier: FileCopier;
  /** Copies a whole small file unless told otherwise; the path is taken as it is when it is absolute. */
  copy(path: string, data: string, more?: Partial<CopyRequest>): Promise<void>;
  /** What the outside holds, with modes. */
  outsideState(): Promise<string[]>;
  remove(): Promise<void>;
}

export async function copyFixture(door: ConfinedDoor = native(), idleMs?: number): Promise<CopyFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-copy-'));
  const [share, outside] = [join(folder, 'share'), join(folder, 'outside')];
  await mkdir(share);
  await mkdir(join(outside, 'directory'), { recursive: true });
  await writeFile(join(outside, 'secret'), 'secret');
  const copier = new FileCopier({ root: share, door, ...(idleMs === undefined ? {} : { idleMs }) });
  return {
    folder,
    share,
    outside,
    copier,
    copy: (path, text, more) => {
      const data = Buffer.from(text);
      const own = { path: path.startsWith('/') ? path : join(share, path), fileSize: data.length, data };
      return copier.copy({ fileMode: FILE, dirMode: 0o750, uid: -1, gid: -1, offset: 0, ...own, ...more });
    },
    outsideState: () => tree(outside),
    remove: () => rm(folder, { recursive: true }),
  };
}

/** Every entry below the directory with its type, mode and content; links are not followed. */
export async function tree(directory: string, below = ''): Promise<string[]> {
  const lines: string[] = [];
  for (const name of (await readdir(join(directory, below))).sort()) {
    const entry = join(below, name);
    const path = join(directory, entry);
    const { mode } = await lstat(path);
    const type = mode & 0o170000;
    const content = type === 0o100000 ? await readFile(path, 'utf8') : type === 0o120000 ? await readlink(path) : '';
    lines.push(`${entry} ${mode.toString(8)} ${content}`);
    if (type === 0o040000) lines.push(...(await tree(directory, entry)));
  }
  return lines;
}
