// The namespaces that the containers of a sandbox share: ipc and uts, kept alive by a mount each, whatever containers come and go.
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { type Native, native } from '../../native/index.ts';
import { AgentError, fromErrno } from '../errors.ts';
import { detachMount } from './detach-mount.ts';
import { readMounts } from './mount-table.ts';

export interface SandboxNamespaces {
  readonly ipcPath: string;
  readonly utsPath: string;
}

const DIRECTORY = '/var/run/sandbox-ns';
/** man 7 uts_namespaces; __NEW_UTS_LEN of linux/utsname.h. */
const MAX_HOSTNAME_BYTES = 64;

/**
 * New ones, in place of an earlier sandbox's. The guest's own hostname stays as it is.
 * @param hostname of the uts namespace; empty keeps the guest's
 */
export async function pinSandboxNamespaces(
  hostname: string,
  directory = DIRECTORY,
  door: Pick<Native, 'pinNamespace' | 'umount'> = native(),
): Promise<SandboxNamespaces> {
  if (Buffer.byteLength(hostname) > MAX_HOSTNAME_BYTES || hostname.includes('\0')) {
    throw new AgentError('invalid_argument', `hostname: is longer than ${MAX_HOSTNAME_BYTES} bytes or holds a NUL character`, {
      fields: { field: 'hostname' },
    });
  }
  const paths = { ipcPath: join(directory, 'ipc'), utsPath: join(directory, 'uts') };
  await mkdir(directory, { recursive: true, mode: 0o755 });
  await unpinSandboxNamespaces(directory, door);
  try {
    await door.pinNamespace('ipc', paths.ipcPath);
    await door.pinNamespace('uts', paths.utsPath, hostname === '' ? undefined : hostname);
  } catch (error) {
    await detachMount(door, paths.ipcPath);
    throw fromErrno(error, `pin the sandbox's namespaces in ${directory}`);
  }
  return paths;
}

/** Those that an earlier agent has pinned; undefined unless both are there. */
export async function pinnedNamespaces(directory = DIRECTORY): Promise<SandboxNamespaces | undefined> {
  // The mount table has paths without links.
  const real = await realpath(directory).catch(() => directory);
  const mounted = new Set((await readMounts()).map(({ target }) => target));
  const paths = { ipcPath: join(directory, 'ipc'), utsPath: join(directory, 'uts') };
  return ['ipc', 'uts'].every((kind) => mounted.has(join(real, kind))) ? paths : undefined;
}

/** Those that are pinned live on only in containers. None pinned is fine. */
export async function unpinSandboxNamespaces(directory = DIRECTORY, door: Pick<Native, 'umount'> = native()): Promise<void> {
  await detachMount(door, join(directory, 'ipc'));
  await detachMount(door, join(directory, 'uts'));
}
