// `watchable-bind`: a copy of a small directory of the host, kept up to date, in which inotify works: config maps, secrets.
import type { StorageDriver } from './storage.ts';

export const watchableBind: StorageDriver = {
  name: 'watchable-bind',
  attach: async (storage, host) => await (await import('./watchable/attach.ts')).attachWatchable(storage, host),
  adopt: async (storage, host) => await (await import('./watchable/attach.ts')).adoptWatchable(storage, host),
};
