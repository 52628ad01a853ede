// Kata's Storage messages to the core's.
import { type grpc, types } from '#proto/kata.js';
import type { CopiedMount } from '../../container/copied-mounts.ts';
import type { FsGroup, Storage } from '../../container/storage/storage.ts';

export function toStorages(storages: readonly grpc.Storage.$Properties[]): Storage[] {
  return storages.map((storage) => ({
    driver: storage.driver ?? '',
    driverOptions: storage.driverOptions ?? [],
    source: storage.source ?? '',
    fstype: storage.fstype ?? '',
    options: storage.options ?? [],
    mountPoint: storage.mountPoint ?? '',
    fsGroup: storage.fsGroup ? toFsGroup(storage.fsGroup) : undefined,
    shared: storage.shared ?? false,
  }));
}

/** The container that gets the mounts is the request's own, whatever `dst_ctr` calls it. */
export function toCopiedMounts(mounts: readonly grpc.SharedMount.$Properties[]): CopiedMount[] {
  return mounts.map(({ name, srcCtr, srcPath, dstPath }) => ({
    name: name ?? '',
    sourceContainer: srcCtr ?? '',
    sourcePath: srcPath ?? '',
    targetPath: dstPath ?? '',
  }));
}

function toFsGroup({ groupId, groupChangePolicy }: grpc.FSGroup.$Properties): FsGroup {
  const onMismatch = groupChangePolicy === types.FSGroupChangePolicy.OnRootMismatch;
  return { gid: groupId ?? 0, policy: onMismatch ? 'on_root_mismatch' : 'always' };
}
