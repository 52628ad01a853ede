// Machines for the doctor's tests: what is on them, as values.
import type { Ran, System } from '../../../../client/doctor/system.ts';

export interface Machine {
  release?: string;
  architecture?: string;
  uid?: number;
  /** Loaded modules, by /proc/modules. */
  loaded?: string[];
  /** Modules in files, and in the kernel. */
  onDisk?: string[];
  builtIn?: string[];
  /** Devices that open, and errno names of those that do not; others are ENOENT. */
  devices?: Record<string, 'opens' | string>;
  tools?: string[];
  files?: string[];
  /** By the program's name without its folder. */
  answers?: Record<string, (args: readonly string[], machine: Machine) => Partial<Ran>>;
}

export const QEMU_WITH_VSOCK = {
  stdout: 'QEMU emulator version 7.2.22 (Debian)\nname "vhost-vsock-pci", bus PCI\nname "vhost-vsock-device"\n',
};

/** A machine on which all is well; what a test gives replaces parts of it. */
export function machine(different: Machine = {}): Machine {
  return {
    release: '6.1.0-56-amd64',
    loaded: ['vhost_vsock', 'kvm_amd'],
    devices: { '/dev/vhost-vsock': 'opens', '/dev/kvm': 'opens' },
    tools: ['qemu-system-x86_64', 'vhost-device-vsock', 'virtiofsd'],
    files: ['/image/vmlinuz', '/image/root.erofs'],
    ...different,
    answers: { 'qemu-system-x86_64': (args) => (args.includes('-bios') ? { code: 85 } : QEMU_WITH_VSOCK), ...different.answers },
  };
}

/** @param ran every command that was run */
export function systemOf(it: Machine, ran: string[] = []): System {
  const release = it.release ?? '';
  const lib = `/lib/modules/${release}`;
  return {
    kernelRelease: release,
    architecture: it.architecture ?? 'x64',
    user: { name: 'ann', uid: it.uid ?? 1000 },
    read: async (path) => {
      if (path === '/proc/modules') return (it.loaded ?? []).map((name) => `${name} 20480 0 - Live 0x0\n`).join('');
      if (path === `${lib}/modules.builtin`) return (it.builtIn ?? []).map((name) => `kernel/x/${name}.ko\n`).join('');
      if (path === `${lib}/modules.dep`)
        return (it.onDisk ?? []).map((name) => `kernel/x/${name}.ko.xz: kernel/x/vsock.ko.xz\n`).join('');
      return undefined;
    },
    exists: async (path) => (it.files ?? []).includes(path),
    openDevice: async (path) => {
      const how = it.devices?.[path] ?? 'ENOENT';
      return how === 'opens' ? undefined : how;
    },
    find: (tool) => ((it.tools ?? []).includes(tool) ? `/usr/bin/${tool}` : undefined),
    run: async (file, args) => {
      ran.push([file, ...args].join(' '));
      const name = (file === 'sudo' ? args.find((word) => !word.startsWith('-')) : file)!.split('/').at(-1)!;
      const rest = file === 'sudo' ? args.slice(args.indexOf(name) + 1) : args;
      return { code: 0, stdout: '', stderr: '', ...it.answers?.[name]?.(rest, it) };
    },
  };
}
