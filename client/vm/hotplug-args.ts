// What a guest's machine needs so that devices, CPUs and memory can be plugged into it while it runs; pure. Laid out as Kata's
// hosts do: disks sit behind a PCI bridge or a root port and are plugged through ACPI, SCSI disks on one controller.
import type { HotplugOptions } from './options.ts';

/** Slots on the root bus, far from those that QEMU hands out from the bottom. */
export const BRIDGE_SLOT = 0x18;
export const PORT_SLOTS: readonly number[] = [0x19, 0x1a];
const SCSI_SLOT = 0x1b;
/** DIMMs and NVDIMMs together. */
const MEMORY_SLOTS = 8;

export const BRIDGE = 'bridge0';
export const SCSI_CONTROLLER = 'scsi0';
export const portName = (index: number) => `port${index}`;

/** Firmware keeps no room behind a bridge without SHPC, which the guest's kernel does not know, unless it is told to. */
const ROOM_BEHIND = { chassis_nr: 1, shpc: false, 'io-reserve': 4 << 10, 'mem-reserve': 1 << 20, 'pref64-reserve': 1 << 20 };

/** @param memory MiB at boot @param cpus at boot */
export interface Sizes {
  readonly memory: number;
  readonly cpus: number;
}

/** Behind the size in `-m`. */
export function memoryRoom({ maxMemory }: HotplugOptions, { memory }: Sizes): string {
  return `,slots=${MEMORY_SLOTS},maxmem=${maxMemory ?? memory + 4096}M`;
}

/** Behind the count in `-smp`: a socket for each CPU, as Kata does it. */
export function cpuRoom({ maxCpus }: HotplugOptions, { cpus }: Sizes): string {
  const most = maxCpus ?? cpus + 2;
  return `,maxcpus=${most},sockets=${most},cores=1,threads=1`;
}

/** Controllers, and the socket on which the machine is told what to plug. */
export function hotplugDevices(qmpSocket: string): string[] {
  const device = (properties: object) => ['-device', JSON.stringify(properties)];
  return [
    ...[
      '-chardev',
      `socket,id=qmp,path=${qmpSocket.replaceAll(',', ',,')},server=on,wait=off`,
      '-mon',
      'chardev=qmp,mode=control',
    ],
    ...device({ driver: 'pci-bridge', id: BRIDGE, bus: 'pcie.0', addr: hex(BRIDGE_SLOT), ...ROOM_BEHIND }),
    ...PORT_SLOTS.flatMap((slot, index) =>
      device({ driver: 'pcie-root-port', id: portName(index), bus: 'pcie.0', addr: hex(slot), chassis: 2 + index }),
    ),
    ...device({ driver: 'virtio-scsi-pci', id: SCSI_CONTROLLER, bus: 'pcie.0', addr: hex(SCSI_SLOT) }),
  ];
}

export function hex(slot: number): string {
  return slot.toString(16).padStart(2, '0');
}
