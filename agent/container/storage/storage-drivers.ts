// Every kind of storage the agent attaches.
import { blk, mmioblk, nvdimm, scsi } from './blk.ts';
import { ephemeral } from './ephemeral.ts';
import { local } from './local.ts';
import { multiLayerErofs } from './multi-layer-erofs.ts';
import { overlayfs } from './overlayfs.ts';
import type { StorageDriver } from './storage.ts';
import { virtioFs } from './virtio-fs.ts';
import { watchableBind } from './watchable-bind.ts';

export const STORAGE_DRIVERS: readonly StorageDriver[] = [
  blk,
  mmioblk,
  scsi,
  nvdimm,
  virtioFs,
  overlayfs,
  ephemeral,
  local,
  watchableBind,
  multiLayerErofs,
];
