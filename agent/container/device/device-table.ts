// The kinds of device by the names that hosts use. A kind is loaded when it is first asked for.
import { AgentError } from '../../errors.ts';
import type { DeviceHost } from '../../guest/devices/wait-for-device.ts';
import type { DeviceKind, DeviceRequest, FoundDevice } from './device.ts';
import type { PlacedDevice } from './spec-devices.ts';

/** Of one request. */
const MAX_DEVICES = 256;

export type DeviceKinds = Readonly<Record<string, () => Promise<DeviceKind>>>;

export const DEVICE_KINDS: DeviceKinds = {
  blk: async () => (await import('./block.ts')).blk,
  'blk-ccw': async () => (await import('./elsewhere.ts')).blkCcw,
  mmioblk: async () => (await import('./block.ts')).mmioblk,
  nvdimm: async () => (await import('./block.ts')).nvdimm,
  scsi: async () => (await import('./block.ts')).scsi,
  'vfio-ap': async () => (await import('./elsewhere.ts')).vfioAp,
  'vfio-ap-cold': async () => (await import('./elsewhere.ts')).vfioAp,
  'vfio-pci': async () => (await import('./vfio-pci.ts')).vfioPci,
  'vfio-pci-gk': async () => (await import('./vfio-pci.ts')).vfioPciGuestKernel,
};

/** What one container has of the guest's hardware. */
export class ContainerDevices {
  readonly placed: PlacedDevice[] = [];
  /** The guest's PCI addresses by the host's. */
  readonly guestAddresses = new Map<string, string>();
  readonly #found: FoundDevice[] = [];

  add(containerPath: string, found: FoundDevice): void {
    this.#found.push(found);
    if (found.node !== undefined) this.placed.push({ containerPath, node: found.node });
    for (const { host, guest } of found.pci) {
      const other = this.guestAddresses.get(host) ?? guest;
      if (other !== guest) {
        throw new AgentError('invalid_argument', `Conflicting guest address for host device ${host} (${guest} versus ${other})`, {
          fields: { field: 'devices' },
        });
      }
      this.guestAddresses.set(host, guest);
    }
  }

  /** For a container that is not made after all: the last first; all are tried, then the first failure is thrown. */
  async undo(): Promise<void> {
    const failures: unknown[] = [];
    for (let found = this.#found.pop(); found !== undefined; found = this.#found.pop()) {
      await found.undo?.().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }
}

export class DeviceTable {
  readonly #host: DeviceHost;
  readonly #kinds: DeviceKinds;

  constructor(host: DeviceHost, kinds: DeviceKinds = DEVICE_KINDS) {
    this.#host = host;
    this.#kinds = kinds;
  }

  /**
   * Waits for the devices in their order.
   * @throws what the first failing one throws, after what was done to those before it is undone
   */
  async find(requests: readonly DeviceRequest[]): Promise<ContainerDevices> {
    if (requests.length > MAX_DEVICES) {
      throw new AgentError('resource_exhausted', `more than ${MAX_DEVICES} devices`, {
        fields: { limit: 'devices-per-request' },
      });
    }
    for (const [index, request] of requests.entries()) this.#check(request, `devices[${index}]`);
    const devices = new ContainerDevices();
    try {
      for (const [index, request] of requests.entries()) {
        const kind = await this.#kinds[request.type]!();
        devices.add(request.containerPath, await kind.find(request, this.#host, `devices[${index}]`));
      }
      return devices;
    } catch (error) {
      await devices.undo().catch(() => {});
      throw error;
    }
  }

  /** The texts are Kata's (kata-agent.md §5.7). */
  #check(request: DeviceRequest, field: string): void {
    const { type, id, vmPath, containerPath } = request;
    const refuse = (part: string, what: string) => {
      throw new AgentError('invalid_argument', `${what} for device ${JSON.stringify(request).slice(0, 400)}`, {
        fields: { field: `${field}.${part}` },
      });
    };
    if (type === '') refuse('type', 'invalid type');
    if (id === '' && vmPath === '') refuse('id', 'invalid ID and VM path');
    if (!containerPath.startsWith('/') || containerPath.includes('\0')) refuse('container_path', 'invalid container path');
    if (!Object.hasOwn(this.#kinds, type)) {
      throw new AgentError('not_found', `Failed to find the device handler ${type}`, { fields: { field: `${field}.type` } });
    }
  }
}
