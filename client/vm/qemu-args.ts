// Builds QEMU's command line for a guest. Names of options: QEMU's manual, qemu-system-x86_64(1).
import { statSync } from 'node:fs';
import { AgentError } from '../../agent/errors.ts';
import { DEFAULT_PORT } from '../../agent/transport/serial/port-name.ts';
import { cpuRoom, hotplugDevices, memoryRoom } from './hotplug-args.ts';
import type { Accel, Way } from './machine.ts';
import type { Machine, ResolvedOptions } from './options.ts';
import { escapeCommas, serialPortDevice, uartDevice } from './serial-args.ts';

export interface QemuPlan {
  qemu: string;
  options: ResolvedOptions;
  accel: Accel;
  way: Way;
  cid: number;
  /** Unix socket of vhost-device-vsock; only for `vhost-user`. */
  vsockSocket?: string;
  /** Unix sockets of virtiofsd, one for each share, in their order. */
  shareSockets: readonly string[];
  /** Unix socket of the virtio-serial port for the agent. */
  serialSocket?: string;
  /** Unix socket of the UART for the agent. */
  uartSocket?: string;
  /** Unix socket on which QEMU is told what to plug in; only with `hotplug`. */
  qmpSocket?: string;
}

/**
 * All processors of an emulated machine take turns on one thread. On a thread each they can run into kernel code that another is patching
 * (a first CPU quota is enough), and the kernel panics.
 */
export const EMULATION = 'tcg,thread=single';
const COMMAND_LINE_SIZE = 2048;
const MMIO_SLOTS = 24;
/** Address space for an NVDIMM beside the memory. */
const NVDIMM_ROOM_MIB = 1024;
/** Where a q35's network cards begin on its first bus, above what QEMU places itself. */
const FIRST_NIC_SLOT = 0x10;

/**
 * A microvm has no clock but the processor's: emulated on a busy machine, where its rate cannot be measured, one boot
 * in several stands still for ever at `tsc: Unable to calibrate against PIT`. KVM tells the guest its clock.
 */
export function defaultMachine(accel: Accel): Machine {
  return accel === 'kvm' ? 'microvm' : 'q35';
}

export function qemuArguments(plan: QemuPlan): string[] {
  const { options, accel } = plan;
  const { hotplug } = options;
  const machine = options.machine ?? defaultMachine(accel);
  const argv = [plan.qemu, '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-name', `berth-${plan.cid}`];
  argv.push('-accel', accel === 'kvm' ? 'kvm' : EMULATION, '-cpu', accel === 'kvm' ? 'host' : 'max');
  // Shared memory lets the vsock device and virtiofsd, processes of their own, reach the guest's rings.
  const nvdimm = options.files.rootDevice === 'nvdimm' ? options.files.root : undefined;
  const nvdimmRoom = nvdimm === undefined ? '' : `,slots=1,maxmem=${options.memory + NVDIMM_ROOM_MIB}M`;
  const room = hotplug === undefined ? nvdimmRoom : memoryRoom(hotplug, options);
  argv.push('-object', `memory-backend-memfd,id=mem,size=${options.memory}M,share=on`, '-m', `${options.memory}M${room}`);
  const q35 = `q35,memory-backend=mem${nvdimm === undefined && hotplug === undefined ? '' : ',nvdimm=on'}`;
  argv.push('-machine', machine === 'microvm' ? 'microvm,acpi=on,pcie=off,rtc=on,memory-backend=mem' : q35);
  // Ahead of every device that is to be behind it.
  if (hotplug?.iommu) argv.push('-device', 'intel-iommu,intremap=off');
  argv.push('-smp', `${options.cpus}${hotplug ? cpuRoom(hotplug, options) : ''}`);
  argv.push('-chardev', 'stdio,id=console,signal=off');
  argv.push('-kernel', options.files.kernel, '-append', kernelCommandLine(options));
  if (options.files.initrd !== undefined) argv.push('-initrd', options.files.initrd);
  if (nvdimm !== undefined) argv.push(...nvdimmDevice(nvdimm));

  // Given in this order the first disk is /dev/vda: the guest's early init takes that for its root.
  const bus = machine === 'microvm' ? mmioSlots() : () => ({});
  const suffix = machine === 'microvm' ? 'device' : 'pci';
  argv.push(...consoleDevice(options.console, suffix, bus));
  const root =
    options.files.root === undefined || nvdimm !== undefined
      ? []
      : [{ path: options.files.root, readonly: true, serial: 'root' }];
  for (const [index, disk] of [...root, ...options.disks].entries()) {
    const node = `disk${index}`;
    const readonly = disk.readonly ?? false;
    argv.push(
      '-blockdev',
      JSON.stringify({
        driver: 'raw',
        'node-name': node,
        'read-only': readonly,
        file: { driver: 'file', filename: disk.path, 'read-only': readonly },
      }),
    );
    argv.push('-device', JSON.stringify({ driver: `virtio-blk-${suffix}`, drive: node, serial: disk.serial, ...bus() }));
  }
  if (plan.way !== 'serial') argv.push(...vsockDevice(plan, suffix, bus()));
  if (plan.serialSocket !== undefined) argv.push(...serialPortDevice(plan.serialSocket, suffix, bus()));
  if (plan.uartSocket !== undefined) argv.push(...uartDevice(plan.uartSocket));
  for (const [index, share] of options.shares.entries()) {
    argv.push('-chardev', `socket,id=share${index},path=${escapeCommas(plan.shareSockets[index]!)}`);
    argv.push(
      '-device',
      JSON.stringify({ driver: `vhost-user-fs-${suffix}`, chardev: `share${index}`, tag: share.tag, ...bus() }),
    );
  }
  if (plan.qmpSocket !== undefined) argv.push(...hotplugDevices(plan.qmpSocket));
  for (const [index, nic] of options.nics.entries()) {
    const id = `nic${index}`;
    argv.push('-netdev', JSON.stringify({ type: 'stream', id, server: false, addr: { type: 'unix', path: nic.socket } }));
    // Without romfile QEMU wants a network boot ROM, which is a package of its own.
    const place = machine === 'microvm' ? bus() : { addr: (FIRST_NIC_SLOT + index).toString(16), romfile: '' };
    argv.push('-device', JSON.stringify({ driver: `virtio-net-${suffix}`, netdev: id, mac: nic.mac, ...place }));
  }
  // Not to take memory away, but to hear of what the guest has freed: the host gets that back.
  argv.push('-device', JSON.stringify({ driver: `virtio-balloon-${suffix}`, 'free-page-reporting': true, ...bus() }));
  return argv;
}

function consoleDevice(kind: 'serial' | 'virtio', suffix: string, bus: () => { bus?: string }): string[] {
  if (kind === 'serial') return ['-serial', 'chardev:console'];
  // Both in the one notation: QEMU makes devices given as JSON after all others.
  const port = JSON.stringify({ driver: 'virtconsole', chardev: 'console' });
  return ['-device', JSON.stringify({ driver: `virtio-serial-${suffix}`, ...bus() }), '-device', port];
}

/** As Kata gives an image: mapped from the file, and not to be written. */
function nvdimmDevice(path: string): string[] {
  const { size } = statSync(path);
  const backend = { 'qom-type': 'memory-backend-file', id: 'pmem0', 'mem-path': path, size, share: true, readonly: true };
  return ['-object', JSON.stringify(backend), '-device', 'nvdimm,id=nvdimm0,memdev=pmem0,unarmed=on'];
}

function vsockDevice(plan: QemuPlan, suffix: string, bus: { bus?: string }): string[] {
  if (plan.way === 'direct')
    return ['-device', JSON.stringify({ driver: `vhost-vsock-${suffix}`, 'guest-cid': plan.cid, ...bus })];
  if (plan.vsockSocket === undefined) throw new AgentError('internal', 'vhost-user without a socket of the vsock device');
  return [
    '-chardev',
    `socket,id=vsock,path=${escapeCommas(plan.vsockSocket)}`,
    '-device',
    JSON.stringify({ driver: `vhost-user-vsock-${suffix}`, chardev: 'vsock', ...bus }),
  ];
}

/** `panic=-1` with QEMU's -no-reboot makes a kernel panic end QEMU at once. */
export function kernelCommandLine(options: ResolvedOptions): string {
  const words = options.kernelCommandLine?.split(' ') ?? [
    'console=ttyS0',
    'quiet',
    'panic=-1',
    'reboot=t',
    ...(options.serial ? [`berth.serial_addr=serial://${DEFAULT_PORT}`] : []),
    ...options.cmdline,
  ];
  const line = words.join(' ');
  if (Buffer.byteLength(line) >= COMMAND_LINE_SIZE) {
    throw new AgentError(
      'invalid_argument',
      `cmdline: ${Buffer.byteLength(line)} bytes in all, the kernel takes ${COMMAND_LINE_SIZE - 1}`,
      {
        fields: { field: 'cmdline' },
      },
    );
  }
  return line;
}

/**
 * QEMU lists a microvm's slots to the kernel from the last to the first, so the first disk must have the last. Slot 0
 * is left out: with acpi=on its interrupt is pin 0 of the second IO-APIC and never reaches the guest (QEMU 7.2).
 */
function mmioSlots(): () => { bus: string } {
  let next = MMIO_SLOTS;
  return () => {
    next--;
    if (next > 0) return { bus: `virtio-mmio-bus.${next}` };
    throw new AgentError('resource_exhausted', `a microvm has room for ${MMIO_SLOTS - 1} devices`, {
      fields: { limit: MMIO_SLOTS - 1 },
    });
  };
}
