// What a client asks to be mounted in the guest, and what a driver makes of it. Knows no protocol.
import type { Native } from '../../../native/index.ts';
import type { DeviceHost } from '../../guest/devices/wait-for-device.ts';
import type { Logger } from '../../log.ts';

export interface Storage {
  /** Name of the driver: `blk`, `virtio-fs` and so on. */
  readonly driver: string;
  readonly driverOptions: readonly string[];
  /** What the driver finds the storage by: a device, a tag, a PCI path. */
  readonly source: string;
  readonly fstype: string;
  /** As of mount(8), one option an element. */
  readonly options: readonly string[];
  /** Absolute path in the guest. */
  readonly mountPoint: string;
  readonly fsGroup?: FsGroup;
  /** Stays until the sandbox ends, whichever containers go. */
  readonly shared: boolean;
  /** What a storage of several is put together from (root-layers.ts). */
  readonly layers?: readonly Storage[];
}

/** Group ownership of a volume's content. */
export interface FsGroup {
  readonly gid: number;
  /** `on_root_mismatch` leaves a volume whose root is right already. */
  readonly policy: 'always' | 'on_root_mismatch';
}

export type StorageDoor = Pick<Native, 'mount' | 'umount'>;

/** What drivers work with, given by the composition root. */
export interface StorageHost extends DeviceHost {
  readonly door: StorageDoor;
  /** Where bundles lie; a container's overlay is put beside its rootfs. */
  readonly bundleDir: string;
  readonly log?: Logger;
  /** How often watched copies are compared with their sources; 2 s unless told. */
  readonly watchPollMs?: number;
}

/** Undoes what `attach` did. Never called twice, nor at the same time as anything else on this mount point. */
export type Detach = () => Promise<void>;

/** Of an attach that made nothing of its own to take away again. */
export const NOTHING_TO_DETACH: Detach = async () => {};

export interface StorageDriver {
  readonly name: string;
  /** How much longer than usual an attach may take: a file system has to be made first. */
  extraPatienceMs?(storage: Storage): number;
  /** Leaves nothing behind when it fails. @param containerId absent for a storage of the sandbox */
  attach(storage: Storage, host: StorageHost, containerId: string | undefined): Promise<Detach>;
  /** Goes on with what an earlier agent attached; without it there is only its mount to be taken off in the end. */
  adopt?(storage: Storage, host: StorageHost, containerId: string | undefined): Promise<Detach>;
}
