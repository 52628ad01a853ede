// What a caller may ask of a guest, and the checked form of it that the launcher works from.
import { existsSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { AgentError } from '../../agent/errors.ts';
import type { Accel, Way } from './machine.ts';
import { projectRoot } from './project-root.ts';

/** A raw image that the guest sees as a virtio-blk disk. */
export interface Disk {
  path: string;
  readonly?: boolean;
  /** Shown in the guest as /sys/block/vdX/serial; at most 20 bytes (virtio specification 5.2.6.1). */
  serial?: string;
}

/** A host directory that the guest can mount with `mount -t virtiofs TAG DIR`. */
export interface Share {
  dir: string;
  /** At most 36 bytes (virtio specification 5.11.4). */
  tag: string;
}

/** Room for what is plugged in while the guest runs (hotplug.ts). */
export interface HotplugOptions {
  /** CPUs at most. Default: 2 more than at boot. */
  maxCpus?: number;
  /** MiB at most, NVDIMMs included. Default: 4096 more than at boot. */
  maxMemory?: number;
  /** An IOMMU, which VFIO needs; the kernel uses it with `intel_iommu=on` on its command line. */
  iommu?: boolean;
}

/**
 * A virtio network card. Its frames go over a Unix socket that somebody listens at when the guest is booted, each after its
 * length in 4 bytes, big-endian: what QEMU calls `stream`, and what passt speaks. No privileges are needed for either end.
 */
export interface Nic {
  /** Six bytes in hexadecimal with colons, the lowest bit of the first one clear (no group address). */
  mac: string;
  /** Path of the socket. */
  socket: string;
}

export type Machine = 'microvm' | 'q35';

/** The files a guest is booted from; the defaults are what the image build leaves in build/image. */
export interface ImageFiles {
  kernel: string;
  /** Absent when the kernel carries its own (`vmlinuz-stage1`). */
  initrd?: string;
  /** The EROFS root; the first disk. Absent when the initrd carries the root itself. */
  root?: string;
  /** What the root is plugged in as. Default `virtio-blk`; `nvdimm` needs the machine `q35`. */
  rootDevice?: 'virtio-blk' | 'nvdimm';
}

/** What a VM is to be. */
export interface BootOptions {
  /** Shown by `berth vm ls` and in messages. Default `vm-CID`. */
  name?: string;
  /** MiB. Default 512. */
  memory?: number;
  cpus?: number;
  disks?: readonly Disk[];
  shares?: readonly Share[];
  /** Lets `Hotplug` plug devices, CPUs and memory in; makes the machine a `q35`. */
  hotplug?: HotplugOptions;
  /** On a q35 the first one's PCI address is 00:10.0, the second one's 00:11.0, and so on. */
  nics?: readonly Nic[];
  /** Added to the kernel command line, which must not exceed 2047 bytes in all (x86's COMMAND_LINE_SIZE). */
  cmdline?: readonly string[];
  /** The whole kernel command line, in place of the launcher's own words and `cmdline`. */
  kernelCommandLine?: string;
  /** What the console is: a serial line (ttyS0) or virtio (hvc0), as under Kata. Default `serial`. */
  console?: 'serial' | 'virtio';
  /** `disk`: EROFS root on virtio-blk. `initrd`: no disk at all. Default `disk`. */
  image?: 'disk' | 'initrd' | ImageFiles;
  /** `microvm` boots 2.5 times as fast; `q35` has PCI, hot-plug and clocks of its own. Default: `microvm` under KVM, `q35` when emulated. */
  machine?: Machine;
  way?: Way;
  /** A virtio-serial port for the agent beside the vsock device; the way `serial` has it in any case. */
  serial?: boolean;
  /** A second UART, ttyS1, for the agent. It listens there when its configuration says so. Makes the machine a `q35`. */
  uart?: boolean;
  accel?: Accel;
  /** Where the console goes. Default: a file of the run directory, gone when the guest has stopped. */
  consoleLog?: string;
  /** From the call to the agent listening, ms. Default 180 000: emulation on a busy machine. */
  timeoutMs?: number;
  /** A KVM guest that has printed nothing after this long does not run, ms. Default 8 000. */
  silenceMs?: number;
  /** `listening`: until the agent says so. `console`: until the guest prints its first line. Default `listening`. */
  waitFor?: 'listening' | 'console';
  /** Gives the boot up; what was started is taken down before bootGuest throws the signal's reason. */
  signal?: AbortSignal;
  /** Each console line, without its line end. */
  onLine?: (line: string) => void;
  /** Each line of the agent's own log, parsed. */
  onLog?: (record: Record<string, unknown>) => void;
  /** What the launcher is doing, for people. */
  onProgress?: (message: string) => void;
}

export interface ResolvedOptions {
  memory: number;
  cpus: number;
  disks: readonly Disk[];
  shares: readonly Share[];
  hotplug?: HotplugOptions;
  nics: readonly Nic[];
  serial: boolean;
  uart: boolean;
  cmdline: readonly string[];
  kernelCommandLine?: string;
  console: 'serial' | 'virtio';
  files: ImageFiles;
  machine?: Machine;
  timeoutMs: number;
  silenceMs: number;
  signal?: AbortSignal;
  waitFor: 'listening' | 'console';
}

/** @throws AgentError invalid_argument that names the field; not_found for a missing file */
export function resolveOptions(options: BootOptions): ResolvedOptions {
  const { memory = 512, cpus = 1, disks = [], shares = [], nics = [], cmdline = [] } = options;
  checkWhole('memory', memory, 64, 1 << 20);
  checkWhole('cpus', cpus, 1, 64);
  if (disks.length > 16) refuse('disks', 'at most 16 disks');
  if (shares.length > 6) refuse('shares', 'at most 6 shared directories');
  for (const [index, disk] of disks.entries()) {
    if (disk.serial !== undefined && !/^[\w.-]{1,20}$/.test(disk.serial))
      refuse(`disks[${index}].serial`, 'need 1 to 20 of A-Z a-z 0-9 . _ -');
    mustExist(`disks[${index}].path`, disk.path);
  }
  for (const [index, share] of shares.entries()) {
    if (!/^[\w.-]{1,36}$/.test(share.tag)) refuse(`shares[${index}].tag`, 'need 1 to 36 of A-Z a-z 0-9 . _ -');
    if (shares.findIndex((other) => other.tag === share.tag) !== index)
      refuse(`shares[${index}].tag`, `${share.tag} is used twice`);
    mustExist(`shares[${index}].dir`, share.dir);
  }
  if (nics.length > 8) refuse('nics', 'at most 8 network cards');
  for (const [index, { mac, socket }] of nics.entries()) {
    if (!/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i.test(mac))
      refuse(`nics[${index}].mac`, `${JSON.stringify(mac)} is no card's address`);
    mustExist(`nics[${index}].socket`, socket);
  }
  for (const word of cmdline) if (/[\s\0]/.test(word)) refuse('cmdline', `white space in ${JSON.stringify(word)}`);
  if (options.uart && options.machine === 'microvm') refuse('uart', 'a microvm has one UART, which is its console');
  const hotplug = checkHotplug(options, memory, cpus);
  const files = imageFiles(options.image ?? 'disk');
  if (files.rootDevice === 'nvdimm' && options.machine !== 'q35') refuse('image.rootDevice', 'an NVDIMM needs the machine q35');
  return {
    memory,
    cpus,
    disks: disks.map((disk) => ({ ...disk, path: resolve(disk.path) })),
    shares: shares.map((share) => ({ ...share, dir: resolve(share.dir) })),
    hotplug,
    serial: options.serial ?? false,
    uart: options.uart ?? false,
    nics: nics.map((nic) => ({ ...nic, socket: resolve(nic.socket) })),
    cmdline,
    kernelCommandLine: options.kernelCommandLine,
    console: options.console ?? 'serial',
    files,
    machine: hotplug === undefined && !options.uart ? options.machine : 'q35',
    timeoutMs: options.timeoutMs ?? 180_000,
    silenceMs: options.silenceMs ?? 8_000,
    signal: options.signal,
    waitFor: options.waitFor ?? 'listening',
  };
}

function checkHotplug({ hotplug, machine }: BootOptions, memory: number, cpus: number): HotplugOptions | undefined {
  if (hotplug === undefined) return undefined;
  if (machine === 'microvm') refuse('hotplug', 'a microvm has no PCI to plug into');
  if (hotplug.maxCpus !== undefined) checkWhole('hotplug.maxCpus', hotplug.maxCpus, cpus, 64);
  if (hotplug.maxMemory !== undefined) checkWhole('hotplug.maxMemory', hotplug.maxMemory, memory, 1 << 20);
  return hotplug;
}

/** Where the build leaves kernels, initramfs and roots; BERTH_IMAGE_DIR names another. */
export function imageFolder(): string {
  return resolve(process.env['BERTH_IMAGE_DIR'] || join(projectRoot, 'build/image'));
}

function imageFiles(image: 'disk' | 'initrd' | ImageFiles): ImageFiles {
  const folder = imageFolder();
  const named = (file: string) => join(folder, file);
  const files: ImageFiles =
    image === 'disk'
      ? { kernel: named('vmlinuz'), initrd: named('initramfs.cpio.gz'), root: named('root.erofs') }
      : image === 'initrd'
        ? { kernel: named('vmlinuz'), initrd: named('initrd-full.cpio') }
        : image;
  for (const field of ['kernel', 'initrd', 'root'] as const)
    if (files[field] !== undefined) mustExist(`image.${field}`, files[field]);
  return files;
}

function mustExist(field: string, path: string): void {
  if (!isAbsolute(path) && path === '') refuse(field, 'an empty path');
  if (!existsSync(path)) throw new AgentError('not_found', `${field}: ${path} does not exist`, { fields: { field, path } });
}

function checkWhole(field: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    refuse(field, `${value} is not a whole number from ${least} to ${most}`);
}

function refuse(field: string, reason: string): never {
  throw new AgentError('invalid_argument', `${field}: ${reason}`, { fields: { field } });
}
