// What every container needs from the agent, handed down by the composition root.
import type { StateStore } from '../keeper/journal.ts';
import type { Keeper } from '../keeper/keeper.ts';
import type { Logger } from '../log.ts';
import type { Exit } from '../process/container-process.ts';
import type { Budget } from '../process/stream/budget.ts';
import type { MountDoor } from './bundle.ts';
import type { Crun } from './crun.ts';
import type { DeviceTable } from './device/device-table.ts';
import type { StorageTable } from './storage/storage-table.ts';

export interface ContainerHost {
  readonly crun: Crun;
  readonly keeper: Keeper;
  /** What an agent that comes after this one has to know. */
  readonly state: StateStore;
  readonly door: MountDoor;
  readonly storages: StorageTable;
  readonly devices: DeviceTable;
  /** Of everything that processes have written and nobody has taken. */
  readonly logBudget: Budget;
  readonly log: Logger;
  /** Bundles lie here, one directory a container. */
  readonly bundleDir: string;
  /** Sockets and scratch files. */
  readonly runtimeDir: string;
  readonly pipeSizeBytes: number;
  /** Whether a spec may name hooks that run in the guest, outside the container. */
  readonly allowSpecHooks: boolean;
  /** Told of what happens to containers and their processes, once it has. Never throws. */
  readonly tell: (event: ContainerEvent) => void;
}

/** Something that has happened. */
export interface ContainerEvent {
  /** `family.what`, such as `container.created`; all of them are listed in proto/berth/v1/events.proto. */
  readonly kind: string;
  readonly containerId?: string;
  /** The init process of the container is `''`. */
  readonly processId?: string;
  readonly exit?: Exit;
  /** Who caused it, where that is known. */
  readonly client?: { readonly id: string; readonly name: string };
  readonly fields?: Readonly<Record<string, string>>;
}
