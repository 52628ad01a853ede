// Plugs hardware into a running guest, as a Kata host does. The guest was booted with `hotplug` (options.ts).
import { AgentError } from '../../agent/errors.ts';
import type { Guest } from './guest.ts';
import { BRIDGE, BRIDGE_SLOT, hex, PORT_SLOTS, portName, SCSI_CONTROLLER } from './hotplug-args.ts';
import { QmpClient } from './qmp.ts';

/** The guest has to let go of a device before it is gone. */
const UNPLUG_MS = 60_000;
const MIB = 1 << 20;

export interface PluggedDisk {
  /** Chosen by the caller; unique among what is plugged. */
  id: string;
  /** A raw image. */
  path: string;
  readonly?: boolean;
  serial?: string;
}

export class Hotplug implements AsyncDisposable {
  readonly #qmp: QmpClient;
  /** Whether a device's backend is a disk or memory, by its id. */
  readonly #backends = new Map<string, 'disk' | 'memory'>();

  private constructor(qmp: QmpClient) {
    this.#qmp = qmp;
  }

  /** @throws failed_precondition when the guest was booted without it */
  static async connect(guest: Pick<Guest, 'qmpSocket' | 'name'>): Promise<Hotplug> {
    if (guest.qmpSocket === undefined) {
      throw new AgentError('failed_precondition', `${guest.name} was booted without \`hotplug\``);
    }
    return new Hotplug(await QmpClient.connect(guest.qmpSocket));
  }

  /** A virtio disk behind the bridge. @param slot 1 to 31 @returns its PCI path in the guest */
  async plugDiskBehindBridge(disk: PluggedDisk, slot: number): Promise<string> {
    await this.#plugBlock(disk, { driver: 'virtio-blk-pci', serial: disk.serial, bus: BRIDGE, addr: hex(slot) });
    return `${hex(BRIDGE_SLOT)}/${hex(slot)}`;
  }

  /** A virtio disk in a root port. @param port 0 or 1 @returns its PCI path in the guest */
  async plugDiskInPort(disk: PluggedDisk, port: number): Promise<string> {
    await this.#plugBlock(disk, { driver: 'virtio-blk-pci', serial: disk.serial, bus: portName(port) });
    return `${hex(PORT_SLOTS[port]!)}/00`;
  }

  /** Any PCI device in a root port. @param driver QEMU's name for it @returns its PCI path in the guest */
  async plugInPort(id: string, driver: string, port: number): Promise<string> {
    await this.#qmp.execute('device_add', { driver, id, bus: portName(port) });
    return `${hex(PORT_SLOTS[port]!)}/00`;
  }

  /** @returns its address in the guest: `TARGET:LUN` */
  async plugScsiDisk(disk: PluggedDisk, target: number, lun: number): Promise<string> {
    const place = { bus: `${SCSI_CONTROLLER}.0`, channel: 0, 'scsi-id': target, lun };
    await this.#plugBlock(disk, { driver: 'scsi-hd', serial: disk.serial, ...place });
    return `${target}:${lun}`;
  }

  /** Makes the disk larger or smaller; the guest is told. */
  async resizeDisk(id: string, bytes: number): Promise<void> {
    await this.#qmp.execute('block_resize', { 'node-name': nodeOf(id), size: bytes });
  }

  /** Persistent memory on a file of `bytes`, a multiple of 2 MiB. */
  async plugNvdimm(id: string, path: string, bytes: number): Promise<void> {
    await this.#plugMemory(id, { 'qom-type': 'memory-backend-file', 'mem-path': path, size: bytes, share: true }, 'nvdimm');
  }

  /** @param mib a multiple of the guest's block of memory, 128 */
  async plugMemory(id: string, mib: number): Promise<void> {
    await this.#plugMemory(id, { 'qom-type': 'memory-backend-memfd', size: mib * MIB, share: true }, 'pc-dimm');
  }

  /** The next CPU that the machine has room for. @throws resource_exhausted */
  async plugCpu(): Promise<void> {
    const slots = await this.#qmp.execute<{ type: string; props: object; 'qom-path'?: string }[]>('query-hotpluggable-cpus');
    // QEMU lists the last one first.
    const free = slots.findLast((slot) => slot['qom-path'] === undefined);
    if (free === undefined) throw new AgentError('resource_exhausted', 'the machine has no room for another CPU');
    await this.#qmp.execute('device_add', { driver: free.type, ...free.props });
  }

  /** Takes a device out again: when this resolves the guest has let go of it. @throws deadline_exceeded */
  async unplug(id: string): Promise<void> {
    await this.#qmp.execute('device_del', { id });
    await this.#qmp.event('DEVICE_DELETED', ({ device }) => device === id, UNPLUG_MS);
    const backend = this.#backends.get(id);
    this.#backends.delete(id);
    if (backend === 'disk') await this.#qmp.execute('blockdev-del', { 'node-name': nodeOf(id) });
    if (backend === 'memory') await this.#qmp.execute('object-del', { id: nodeOf(id) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#qmp[Symbol.asyncDispose]();
  }

  async #plugBlock({ id, path, readonly = false }: PluggedDisk, device: Record<string, unknown>): Promise<void> {
    const node = nodeOf(id);
    const file = { driver: 'file', filename: path, 'read-only': readonly };
    await this.#qmp.execute('blockdev-add', { driver: 'raw', 'node-name': node, 'read-only': readonly, file });
    try {
      await this.#qmp.execute('device_add', { ...device, id, drive: node });
    } catch (error) {
      await this.#qmp.execute('blockdev-del', { 'node-name': node });
      throw error;
    }
    this.#backends.set(id, 'disk');
  }

  async #plugMemory(id: string, backend: object, driver: string): Promise<void> {
    const object = nodeOf(id);
    await this.#qmp.execute('object-add', { ...backend, id: object });
    try {
      await this.#qmp.execute('device_add', { driver, id, memdev: object });
    } catch (error) {
      await this.#qmp.execute('object-del', { id: object });
      throw error;
    }
    this.#backends.set(id, 'memory');
  }
}

function nodeOf(id: string): string {
  return `${id}-backend`;
}
