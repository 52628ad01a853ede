// Where a container's root comes from: a read-only disk of the guest, or a directory shared by virtio-fs, each with a
// writable overlay on top. Gives the storages that CreateContainer carries and the path of the root in the guest.

import { posix } from 'node:path';
import type { grpc } from '#proto/kata.js';
import { AgentError } from '../agent/errors.ts';

/** A root as the user names it. */
export type Rootfs =
  /** A block device of the guest with a read-only file system. */
  | { kind: 'disk'; device: string; fstype: string }
  /** A directory below the VM's shared directory; empty for the shared directory itself. */
  | { kind: 'share'; directory: string };

export interface PreparedRoot {
  storages: grpc.IStorage[];
  rootPath: string;
}

/** Where Kata's hosts mount the share with the tag `kataShared`. */
const SHARE_MOUNT = '/run/kata-containers/shared/containers/';
export const SHARE_TAG = 'kataShared';

/**
 * Reads `NAME` of a disk the VM has, `blk:/dev/vdX[:FSTYPE]`, or `share:DIRECTORY`.
 * @param disks devices of the VM by the name of the root they hold, e.g. `busybox` -> `/dev/vdb`
 * @throws AgentError invalid_argument
 */
export function parseRootfs(text: string, disks: Readonly<Record<string, string>>): Rootfs {
  if (text.startsWith('share:')) {
    const directory = posix.normalize(text.slice('share:'.length)).replace(/^\/+|\/+$/g, '');
    if (directory.split('/').includes('..')) throw invalid(text, 'it leads out of the shared directory');
    return { kind: 'share', directory: directory === '.' ? '' : directory };
  }
  if (text.startsWith('blk:')) {
    const [device = '', fstype = 'erofs', ...rest] = text.slice('blk:'.length).split(':');
    if (!/^\/dev\/[a-z0-9/]+$/.test(device) || fstype === '' || rest.length > 0) {
      throw invalid(text, 'give blk:/dev/vdX or blk:/dev/vdX:FSTYPE');
    }
    return { kind: 'disk', device, fstype };
  }
  const device = Object.hasOwn(disks, text) ? disks[text] : undefined;
  if (device === undefined) {
    const names = Object.keys(disks).sort().join(', ');
    const known = names === '' ? 'this VM has no named disks' : `this VM has ${names}`;
    throw invalid(text, `${known}; or give share:DIRECTORY or blk:/dev/vdX`);
  }
  return { kind: 'disk', device, fstype: 'erofs' };
}

/** The mounts that make `rootfs` the writable root of container `id`. The agent undoes them in RemoveContainer. */
export function prepareRoot(id: string, rootfs: Rootfs): PreparedRoot {
  const bundle = `/run/kata-containers/${id}`;
  const rootPath = `${bundle}/rootfs`;
  if (rootfs.kind === 'share') {
    const share = storage('virtio-fs', SHARE_TAG, 'virtiofs', ['nodev'], SHARE_MOUNT);
    return { storages: [{ ...share, shared: true }, overlay(posix.join(SHARE_MOUNT, rootfs.directory), rootPath)], rootPath };
  }
  const lower = `${bundle}/lower`;
  return { storages: [storage('blk', rootfs.device, rootfs.fstype, ['ro'], lower), overlay(lower, rootPath)], rootPath };
}

/** The driver option makes the agent add an upper and a work directory of the container's own. */
function overlay(lower: string, target: string): grpc.IStorage {
  const mounted = storage('overlayfs', 'none', 'overlay', [`lowerdir=${lower}`], target);
  return { ...mounted, driverOptions: ['io.katacontainers.fs-opt.overlay-rw'] };
}

function storage(driver: string, source: string, fstype: string, options: string[], mountPoint: string): grpc.IStorage {
  return { driver, source, fstype, options, mountPoint };
}

function invalid(text: string, why: string): AgentError {
  return new AgentError('invalid_argument', `invalid root file system '${text}': ${why}`, { fields: { field: 'rootfs' } });
}
