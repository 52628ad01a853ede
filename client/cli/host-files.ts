// The end of a copy that is on this machine. What comes from a guest is anybody's: it is unpacked beneath the directory it goes to and nowhere
// else, by what the agent unpacks with itself.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, realpath, rename, rm } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { FileRoot, O_PATH } from '../../agent/guest/files/file-root.ts';
import { TreePacker } from '../../agent/guest/files/pack-tree.ts';
import { readTar } from '../../agent/guest/files/tar/reader.ts';
import { TreeUnpacker } from '../../agent/guest/files/unpack-tree.ts';
import { native } from '../../native/index.ts';

/** The name a path of this machine has inside another directory. */
export function nameInside(path: string): string {
  return basename(resolve(path));
}

/** A directory as a tar archive. */
export async function* packDirectory(path: string): AsyncGenerator<Buffer> {
  const door = native();
  await using directory = await open('/', O_PATH | constants.O_DIRECTORY);
  using root = new FileRoot(await door.openBeneath(directory.fd, '.', O_PATH | constants.O_DIRECTORY, 0), door);
  yield* new TreePacker(0, new AbortController().signal).pack(root, await realpath(path));
}

/** Unpacks below `path`, which is made if it is missing; files are the user's. */
export async function unpackInto(path: string, archive: AsyncIterable<Uint8Array>): Promise<void> {
  await mkdir(path, { recursive: true });
  await using directory = await open(path, O_PATH | constants.O_DIRECTORY);
  const owner = { uid: process.getuid!(), gid: process.getgid!() };
  const unpacker = new TreeUnpacker(directory.fd, native(), { owner, keepSetId: false, maxEntries: 0, maxBytes: 0 });
  try {
    for await (const member of readTar(archive)) await unpacker.unpack(member);
  } finally {
    unpacker.close();
  }
}

/** A file that appears whole or not at all. */
export async function writeHostFile(path: string, content: AsyncIterable<Uint8Array>, mode: number): Promise<void> {
  const temporary = `${path}.berth-${randomBytes(6).toString('hex')}`;
  try {
    await using file = await open(temporary, 'wx', 0o600);
    for await (const piece of content) await file.writeFile(piece);
    await file.chmod(mode);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
