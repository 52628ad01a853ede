// Everything that a host needs to boot guests, looked at in the order in which one thing needs another.
import { decide, type MachineFindings, wishFromEnvironment } from '../vm/machine.ts';
import { toolPackages } from '../vm/tools.ts';
import { type Finding, note, ok, problem, warning } from './finding.ts';
import { proveGuestRuns } from './kvm-proof.ts';
import type { System } from './system.ts';
import { checkKernel, checkVsock } from './vsock-checks.ts';

const KVM = '/dev/kvm';
const VHOST_VSOCK_DEVICES = ['vhost-vsock-pci', 'vhost-vsock-device'];
const QEMU_MS = 10_000;

export interface HostCheckOptions {
  /** Load vhost_vsock where it is not loaded. */
  readonly load?: boolean;
  /** BERTH_VM_WAY and BERTH_VM_ACCEL are read from it. */
  readonly env?: NodeJS.ProcessEnv;
  /** Folder of the guest's image. */
  readonly imageFolder: string;
}

export async function checkHost(system: System, { load = false, env = {}, imageFolder }: HostCheckOptions): Promise<Finding[]> {
  const tools = {
    qemu: system.find('qemu-system-x86_64'),
    vhostDeviceVsock: system.find('vhost-device-vsock'),
    virtiofsd: system.find('virtiofsd'),
  };
  const vsock = await checkVsock(system, { load, elsewhere: tools.vhostDeviceVsock !== undefined });
  const kvm = await checkKvm(system, tools.qemu);
  const findings = [
    checkKernel(system),
    checkArchitecture(system),
    ...vsock,
    kvm,
    ...(await checkQemu(system, tools.qemu)),
    checkTool('vhost-device-vsock', tools.vhostDeviceVsock, 'guests without the kernel module'),
    checkTool('virtiofsd', tools.virtiofsd, 'directories of the host shared with guests'),
    await checkImage(system, imageFolder),
  ];
  const device = vsock.at(-1)!;
  return [...findings, checkWay({ ...tools, device, kvm }, env)];
}

function checkArchitecture({ architecture }: System): Finding {
  if (architecture === 'x64') return ok('architecture', 'x86-64');
  return problem('architecture', `${architecture}: the guest image is for x86-64`, 'use a host that is x86-64');
}

async function checkKvm(system: System, qemu: string | undefined): Promise<Finding> {
  const errno = await system.openDevice(KVM);
  const slow = 'guests are emulated meanwhile, some ten times slower';
  if (errno === 'EACCES' || errno === 'EPERM') {
    const { name } = system.user;
    return warning(
      'kvm',
      `${KVM} is not ${name}'s to open (${errno}); ${slow}`,
      `sudo usermod -aG kvm ${name}, and log in again`,
    );
  }
  if (errno !== undefined) {
    return warning(
      'kvm',
      `${KVM}: ${errno}; ${slow}`,
      'turn on VT-x or AMD-V in the firmware; in a VM, nested virtualisation at its hypervisor',
      'sudo modprobe kvm_intel || sudo modprobe kvm_amd',
    );
  }
  if (qemu === undefined) return note('kvm', `${KVM} opens; without QEMU no guest can show that it works`);
  const why = await proveGuestRuns(system, qemu, 'kvm');
  if (why === undefined) return ok('kvm', 'a guest ran under it');
  return warning(
    'kvm',
    `${KVM} opens, but ${why}; ${slow}`,
    'this machine is a VM whose hypervisor has no working nested virtualisation: turn it on there',
  );
}

async function checkQemu(system: System, qemu: string | undefined): Promise<Finding[]> {
  if (qemu === undefined)
    return [problem('qemu', 'QEMU is not installed', `sudo apt install ${toolPackages['qemu-system-x86_64']}`)];
  const [version, devices] = await Promise.all([
    system.run(qemu, ['--version'], QEMU_MS),
    system.run(qemu, ['-machine', 'q35', '-device', 'help'], QEMU_MS),
  ]);
  if (version.code !== 0)
    return [
      problem(
        'qemu',
        `${qemu} does not run: ${version.stderr.trim()}`,
        `sudo apt install --reinstall ${toolPackages['qemu-system-x86_64']}`,
      ),
    ];
  const number = /version (\S+)/.exec(version.stdout)?.[1] ?? 'of unknown version';
  const missing = VHOST_VSOCK_DEVICES.filter((name) => !devices.stdout.includes(`"${name}"`));
  const seen = ok('qemu', `${number}, ${qemu}`);
  if (missing.length === 0) return [seen];
  return [
    seen,
    problem(
      'qemu-vsock-device',
      `this QEMU has no ${missing.join(' and no ')}`,
      `sudo apt install ${toolPackages['qemu-system-x86_64']}`,
    ),
  ];
}

function checkTool(tool: 'vhost-device-vsock' | 'virtiofsd', path: string | undefined, use: string): Finding {
  return path === undefined ? note(tool, `not installed (${toolPackages[tool]}); it is for ${use}`) : ok(tool, path);
}

async function checkImage(system: System, folder: string): Promise<Finding> {
  const missing: string[] = [];
  for (const name of ['vmlinuz', 'root.erofs']) if (!(await system.exists(`${folder}/${name}`))) missing.push(name);
  if (missing.length === 0) return ok('image', folder);
  return problem('image', `${folder} has no ${missing.join(' and no ')}`, 'npm run build');
}

/** The way that a guest would be booted in, by what was found. */
function checkWay(
  found: Pick<MachineFindings, 'qemu' | 'vhostDeviceVsock' | 'virtiofsd'> & { device: Finding; kvm: Finding },
  env: NodeJS.ProcessEnv,
): Finding {
  const { device, kvm, ...tools } = found;
  try {
    const works = kvm.status === 'ok';
    const { way, accel, reasons } = decide(
      {
        ...tools,
        vhostVsock: { usable: device.status === 'ok', reason: device.found },
        kvm: { usable: works, reason: kvm.found },
        ...(works ? { kvmVerdict: { works, reason: kvm.found } } : {}),
      },
      wishFromEnvironment(env),
    );
    return ok('way', `${way}, ${accel} (${reasons.join('; ')})`);
  } catch (error) {
    return problem('way', `no guest can be booted: ${(error as Error).message}`, 'see the problems above');
  }
}
