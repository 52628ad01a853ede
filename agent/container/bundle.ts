// The bundle of a container: its directory, its rootfs mount, its config.json (OCI runtime-spec, "Filesystem Bundle").
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MS, type Native } from '../../native/index.ts';
import { AgentError, fromErrno, isErrno } from '../errors.ts';
import { detachMount } from '../guest/detach-mount.ts';
import { mountsBelow, readMounts } from '../guest/mount-table.ts';

const BUSY_TIMEOUT_MS = 10_000;
const BUSY_RETRY_MS = 20;

export type MountDoor = Pick<Native, 'mount' | 'umount'>;

export interface Bundle {
  readonly directory: string;
  readonly rootfs: string;
}

export function bundleOf(bundleDir: string, containerId: string): Bundle {
  const directory = join(bundleDir, containerId);
  return { directory, rootfs: join(directory, 'rootfs') };
}

/**
 * Puts the container's root where crun expects it: a bind mount of `root`, unless a storage of the request is mounted
 * straight onto `<bundle>/rootfs` (kata-agent.md §3.3). Call what it returns once crun has made the container, which has
 * the mount in a namespace of its own by then: a recursive bind left here would keep what lies below it busy for others.
 */
export async function mountRootfs(door: MountDoor, bundle: Bundle, root: string): Promise<() => Promise<void>> {
  if (!isAbsolute(root))
    throw new AgentError('invalid_argument', `OCI.Root.Path \`${root}\` is not absolute`, { fields: { field: 'OCI.Root.Path' } });
  await mkdir(bundle.directory, { recursive: true, mode: 0o711 });
  if ((await readMounts()).some((mount) => mount.target === bundle.rootfs)) return async () => {};
  await mkdir(bundle.rootfs, { recursive: true, mode: 0o755 });
  try {
    await door.mount(root, bundle.rootfs, '', MS.BIND | MS.REC, '');
  } catch (error) {
    throw fromErrno(error, `bind the root file system ${root}`, { field: 'OCI.Root.Path' });
  }
  return () => detachMount(door, bundle.rootfs);
}

/** Writes a file of the bundle whole, readable by the agent alone. */
export async function writeBundleFile(bundle: Bundle, name: string, text: string): Promise<string> {
  const path = join(bundle.directory, name);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

/**
 * Removes the directory. Whatever is mounted below is unmounted first: a removal must never walk into a shared
 * file system and empty it.
 */
export async function removeTree(door: MountDoor, directory: string): Promise<void> {
  for (const target of mountsBelow(await readMounts(), directory)) await detachMount(door, target);
  const [left] = mountsBelow(await readMounts(), directory);
  if (left !== undefined) throw new AgentError('internal', `${left} is still mounted: ${directory} is not removed`);
  await removeWhenFree(directory);
}

/** A container that is being made may for a moment have a copy of our mounts in a recursive bind. */
async function removeWhenFree(directory: string): Promise<void> {
  for (const deadline = Date.now() + BUSY_TIMEOUT_MS; ; await sleep(BUSY_RETRY_MS)) {
    try {
      return await rm(directory, { recursive: true, force: true });
    } catch (error) {
      if (!isErrno(error, 'EBUSY') || Date.now() > deadline) throw fromErrno(error, `remove ${directory}`);
    }
  }
}
