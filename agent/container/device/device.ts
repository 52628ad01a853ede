// What a client asks to be offered to a container of the guest's hardware, and what a kind of device makes of it.
import type { DeviceHost } from '../../guest/devices/wait-for-device.ts';

export interface DeviceRequest {
  /** The kind: `blk`, `scsi`, `vfio-pci` and so on. */
  readonly type: string;
  /** What the kind finds the device by: a PCI path, a SCSI address. */
  readonly id: string;
  /** Its node in the guest, for the kinds that go by that. */
  readonly vmPath: string;
  /** Its node in the container, as the spec lists it. */
  readonly containerPath: string;
  readonly options: readonly string[];
}

export interface FoundDevice {
  /** Absent when the guest's own driver keeps the device and the container sees only what that makes of it. */
  readonly node?: DeviceNode;
  readonly pci: readonly PciTranslation[];
  /** Undoes what was done to the device, when the container is not made after all. */
  undo?(): Promise<void>;
}

/** As the guest numbers it. */
export interface DeviceNode {
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  /** Where the container is to find it; absent: where it asked for. */
  readonly path?: string;
}

/** Where a device sits on the host's PCI bus and on the guest's: `0000:3b:02.0`, in lower case. */
export interface PciTranslation {
  readonly host: string;
  readonly guest: string;
}

export interface DeviceKind {
  /** Waits for the device. @param field path of the request, for errors @throws deadline_exceeded naming it */
  find(request: DeviceRequest, host: DeviceHost, field: string): Promise<FoundDevice>;
}
