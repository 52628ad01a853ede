// Makes a directory of ours equal to a snapshot. Containers see it change, and may write to it themselves: each file is
// replaced whole, links last, as Kubernetes swaps `..data`; and no link that a container planted leads out of it.
import { constants } from 'node:fs';
import { chmod, chown, lchown, mkdir, open, rename, symlink } from 'node:fs/promises';
import { dirname } from 'node:path/posix';
import { native } from '../../../../native/index.ts';
import { isErrno } from '../../../errors.ts';
import { at, ConfinedDirectory, type Place } from '../../../guest/files/confined-directory.ts';
import { removeEntry } from '../../../guest/files/remove-entry.ts';
import { withEntry } from '../guest-path.ts';
import type { Entry, Snapshot } from './snapshot.ts';

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Permissions, set-id bits and the sticky one. */
const MODE = 0o7777;

/** @param before what `target` was made equal to the last time */
export async function mirrorDirectory(target: string, before: Snapshot, now: Snapshot): Promise<void> {
  const changed = [...now].filter(([path, entry]) => before.get(path)?.signature !== entry.signature);
  const root = new ConfinedDirectory(target, native());
  const each = async (kind: Entry['kind'], make: (place: Place, entry: Entry) => Promise<void>) => {
    for (const [path, entry] of sorted(changed, kind)) {
      if (path !== '') await withPlace(root, `${target}/${path}`, (place) => make(place, entry));
    }
  };
  await each('directory', makeDirectory);
  await each('file', replaceFile);
  await each('link', replaceLink);
  // From the inside out, and last: until now the old names still led somewhere.
  for (const path of [...before.keys()].reverse()) {
    const parent = path.includes('/') ? dirname(path) : '';
    // What lay in a directory that is gone, or something else now, went with it.
    if (!now.has(path) && now.get(parent)?.kind === 'directory') await withPlace(root, `${target}/${path}`, removeEntry);
  }
  const self = now.get('');
  if (self !== undefined && before.get('')?.signature !== self.signature) {
    await withEntry(target, (path) => own(path, self));
  }
}

let replacements = 0;

/** In place: a container that has this one file mounted would go on seeing the old one if it were replaced. */
export async function mirrorFile(target: string, before: Snapshot, now: Snapshot): Promise<void> {
  const entry = now.get('');
  if (entry?.content === undefined || before.get('')?.signature === entry.signature) return;
  const { content } = entry;
  await withEntry(target, async (path) => {
    const file = await open(path, constants.O_WRONLY | constants.O_TRUNC);
    try {
      await file.writeFile(content);
    } finally {
      await file.close();
    }
    await own(path, entry);
  });
}

/** Kubernetes's own links (`..data`) come before those that lead through them. */
function sorted(entries: readonly [string, Entry][], kind: Entry['kind']): [string, Entry][] {
  const ofKind = entries.filter(([, entry]) => entry.kind === kind);
  const rank = ([path]: [string, Entry]) => (path.startsWith('..') ? 0 : 1);
  return kind === 'link' ? ofKind.sort((one, other) => rank(one) - rank(other)) : ofKind;
}

async function withPlace(root: ConfinedDirectory, path: string, use: (place: Place) => Promise<void>): Promise<void> {
  const place = await root.place(path, { mode: 0o755, uid: -1, gid: -1 });
  try {
    await use(place);
  } finally {
    native().close(place.directory);
  }
}

async function makeDirectory(place: Place, entry: Entry): Promise<void> {
  const path = at(place.directory, place.name);
  try {
    await mkdir(path, 0o700);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    if (!(await isDirectory(path))) {
      await removeEntry(place);
      await mkdir(path, 0o700);
    }
  }
  const handle = await open(path, DIRECTORY);
  try {
    await own(`/proc/self/fd/${handle.fd}`, entry);
  } finally {
    await handle.close();
  }
}

/** A link to one is none. */
async function isDirectory(path: string): Promise<boolean> {
  return await open(path, DIRECTORY).then(
    async (handle) => {
      await handle.close();
      return true;
    },
    () => false,
  );
}

async function replaceFile(place: Place, entry: Entry): Promise<void> {
  if (entry.content === undefined) return;
  const { content } = entry;
  await replace(place, async (path) => {
    const file = await open(path, NEW_FILE, 0o600);
    try {
      await file.writeFile(content);
      await file.chown(entry.uid, entry.gid);
      await file.chmod(entry.mode & MODE);
    } finally {
      await file.close();
    }
  });
}

async function replaceLink(place: Place, { content, uid, gid }: Entry): Promise<void> {
  await replace(place, async (path) => {
    await symlink(content!, path);
    await lchown(path, uid, gid);
  });
}

/** Made beside it and moved there, so that nobody sees a part of it. */
async function replace(place: Place, make: (path: string) => Promise<void>): Promise<void> {
  const fresh: Place = { directory: place.directory, name: `.berth-${replacements++}` };
  await removeEntry(fresh);
  try {
    await make(at(fresh.directory, fresh.name));
    await moveOver(fresh, place);
  } catch (error) {
    await removeEntry(fresh).catch(() => {});
    throw error;
  }
}

async function moveOver(fresh: Place, place: Place): Promise<void> {
  const path = at(place.directory, place.name);
  try {
    await rename(at(fresh.directory, fresh.name), path);
  } catch (error) {
    if (!isErrno(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST')) throw error;
    await removeEntry(place);
    await rename(at(fresh.directory, fresh.name), path);
  }
}

/** @param path of a descriptor */
async function own(path: string, { uid, gid, mode }: Entry): Promise<void> {
  await chown(path, uid, gid);
  await chmod(path, mode & MODE);
}
