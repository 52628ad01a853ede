// Attaches a watched copy: memory at the mount point, a first copy, and the watch; or a bind mount where there is too much.
import { MS } from '../../../../native/index.ts';
import { readMounts } from '../../../guest/mount-table.ts';
import { DEFAULT_PRIVATE_PATHS } from '../../spec/context.ts';
import { checkSource } from '../../spec/mounts.ts';
import { removeEmpty, withEntry } from '../guest-path.ts';
import { leave, make } from '../made-paths.ts';
import { parseMountOptions } from '../mount-options.ts';
import { mountOn, unmountFrom } from '../mount-target.ts';
import type { Detach, Storage, StorageHost } from '../storage.ts';
import { Undo } from '../undo.ts';
import { holdArea } from './area.ts';
import { mirrorDirectory, mirrorFile } from './mirror.ts';
import { TooMuch, takeSnapshot } from './snapshot.ts';
import { Watch } from './watch.ts';

/** Copies that are kept up to date at a time; more are bound. */
const MAX_WATCHES = 512;
/** Twice what may be copied, since old and new are there together for a moment, and as much again for a container that writes. */
const COPY = { flags: MS.NOSUID | MS.NODEV, propagation: [], data: 'mode=755,size=4m,nr_inodes=256' };

let watches = 0;

export async function attachWatchable(asked: Storage, host: StorageHost): Promise<Detach> {
  const storage = { ...asked, source: checkSource(asked.source, 'storages[].source', DEFAULT_PRIVATE_PATHS) };
  const undo = new Undo();
  try {
    undo.add(await holdArea(host.door, storage.mountPoint));
    const isDirectory = await withEntry(storage.source, async (_entry, directory) => directory);
    if (watches >= MAX_WATCHES) undo.add(await bind(storage, host, `more than ${MAX_WATCHES} are watched`));
    else await copyAndWatch(storage, host, isDirectory, undo);
    return () => undo.all();
  } catch (error) {
    await undo.all().catch(() => {});
    throw error;
  }
}

/** A copy that an earlier agent made is kept up to date again; what it bound instead of copying stays so. */
export async function adoptWatchable(asked: Storage, host: StorageHost): Promise<Detach> {
  const { mountPoint: target } = asked;
  const undo = new Undo();
  undo.add(await holdArea(host.door, target, { mounted: true }));
  const mounts = (await readMounts()).filter((mount) => mount.target === target);
  const isDirectory = await withEntry(target, async (_entry, directory) => directory);
  undo.add(async () => {
    for (const _mount of mounts) await unmountFrom(host.door, target);
    if (!isDirectory) await removeEmpty(target);
    await leave(target);
  });
  const copied = isDirectory ? mounts.length === 1 && mounts[0]?.fstype === 'tmpfs' : mounts.length === 0;
  if (!copied) return () => undo.all();
  const watch = watchOf(asked, host, isDirectory, undo);
  watch.goOn(await takeSnapshot(target, new Map()));
  undo.add(countWatch(watch));
  return () => undo.all();
}

async function copyAndWatch(storage: Storage, host: StorageHost, isDirectory: boolean, undo: Undo): Promise<void> {
  const { mountPoint: target } = storage;
  const uncopy = isDirectory
    ? await mountOn(host.door, target, { source: 'tmpfs', fstype: 'tmpfs' }, COPY)
    : await emptyFile(target);
  const watch = watchOf(storage, host, isDirectory, undo);
  try {
    await watch.begin();
  } catch (error) {
    await uncopy();
    if (!(error instanceof TooMuch)) throw error;
    undo.add(await bind(storage, host, error.message));
    return;
  }
  undo.add(uncopy);
  undo.add(countWatch(watch));
}

function watchOf(storage: Storage, host: StorageHost, isDirectory: boolean, undo: Undo): Watch {
  const { source, mountPoint: target } = storage;
  return new Watch({
    source,
    target,
    log: host.log,
    mirror: isDirectory ? mirrorDirectory : mirrorFile,
    // Over the copy, which a container that runs keeps; and under it for whoever takes it off.
    onTooMuch: async (problem) => undo.add(await bind(storage, host, problem)),
    ...(host.watchPollMs === undefined ? {} : { pollMs: host.watchPollMs }),
  });
}

/** @returns what stops it */
function countWatch(watch: Watch): Detach {
  watches++;
  let counted = true;
  return async () => {
    await watch.stop();
    if (counted) watches--;
    counted = false;
  };
}

async function bind(storage: Storage, { door, log }: StorageHost, problem: string): Promise<Detach> {
  const { source, mountPoint } = storage;
  log?.warn('a watchable storage is bound instead: changes are seen without inotify', { source, mountPoint, problem });
  const options = parseMountOptions(['bind', ...storage.options]);
  return await mountOn(door, mountPoint, { source, fstype: '' }, { ...options, data: '' });
}

async function emptyFile(path: string): Promise<Detach> {
  await make(path, 'file');
  return async () => {
    await removeEmpty(path);
    await leave(path);
  };
}
