// Kata's Storage messages to the core's.
import type { grpc } from '#proto/kata.js';
import type { Storage } from '../../container/storage/storage.ts';

export function toStorages(storages: readonly grpc.Storage.$Properties[]): Storage[] {
  return storages.map((storage) => ({
    driver: storage.driver ?? '',
    driverOptions: storage.driverOptions ?? [],
    source: storage.source ?? '',
    fstype: storage.fstype ?? '',
    options: storage.options ?? [],
    mountPoint: storage.mountPoint ?? '',
    shared: storage.shared ?? false,
  }));
}
