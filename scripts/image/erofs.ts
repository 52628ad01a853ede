// Packs a tree as an EROFS image whose bytes depend on the tree alone.
import { createHash } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { runLogged } from '../bootstrap/progress.mjs';
import { asRoot } from './privilege.ts';

/** One time for all files: newer versions of mkfs.erofs have to be told. */
const ALL_TIME = '--all-time';

/** The version line and options of this machine's mkfs.erofs, which the bytes depend on. */
export async function mkfsVersion(): Promise<{ version: string; options: string[] }> {
  const [version, help] = await Promise.all([
    execa('mkfs.erofs', ['-V'], { all: true, reject: false }),
    execa('mkfs.erofs', ['--help'], { all: true, reject: false }),
  ]);
  const options = ['--quiet', '-zlz4hc,3', '-C32768', '-T0', '-x-1'];
  if (help.all?.includes(ALL_TIME)) options.push(ALL_TIME);
  return { version: version.all?.split('\n')[0]?.trim() ?? 'unknown', options };
}

/** Writes `image` from the folder `tree`. `allRoot` makes root the owner of everything. */
export async function packErofs(tree: string, image: string, log: string, allRoot = false): Promise<void> {
  const { options } = await mkfsVersion();
  const partial = `${image}.new`;
  await rm(partial, { force: true });
  const command = [
    'mkfs.erofs',
    ...options,
    '-U',
    imageUuid(path.basename(image)),
    ...(allRoot ? ['--all-root'] : []),
    partial,
    tree,
  ];
  await runLogged(asRoot(command), { log });
  await rename(partial, image);
}

/** A UUID that is the same at every build: the name, hashed (RFC 9562 version 8). */
export function imageUuid(name: string): string {
  const digits = createHash('sha256').update(`berth image ${name}`).digest('hex').slice(0, 32).split('');
  digits[12] = '8';
  digits[16] = 'a';
  return digits.join('').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
