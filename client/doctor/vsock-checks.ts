// The host's side of vsock: the kernel's vhost_vsock, what may be in its way, and its device file.
import { type Finding, note, ok, problem, warning } from './finding.ts';
import { loadModule, type ModuleState, moduleState } from './kernel-module.ts';
import type { System } from './system.ts';

const VHOST_VSOCK = 'vhost_vsock';
const VMCI_TRANSPORT = 'vmw_vsock_vmci_transport';
const DEVICE = '/dev/vhost-vsock';
/** The release that has vhost_vsock first. */
const FIRST_KERNEL = [4, 8] as const;
const LOAD_STEPS = [
  'sudo modprobe vhost_vsock   (or `berth doctor --load`)',
  'at every boot: echo vhost_vsock | sudo tee /etc/modules-load.d/vhost_vsock.conf',
] as const;
const VMCI_STEPS = [
  'sudo systemctl stop open-vm-tools vmware-tools   (they use the VMware transport; whichever is installed)',
  `sudo modprobe -r ${VMCI_TRANSPORT}`,
  'sudo modprobe vhost_vsock   (or `berth doctor --load`)',
  `to keep it so: echo "blacklist ${VMCI_TRANSPORT}" | sudo tee /etc/modprobe.d/berth-vsock.conf`,
] as const;

export function checkKernel({ kernelRelease }: Pick<System, 'kernelRelease'>): Finding {
  const [major = 0, minor = 0] = kernelRelease.split('.').map((part) => Number.parseInt(part, 10));
  const recent = major > FIRST_KERNEL[0] || (major === FIRST_KERNEL[0] && minor >= FIRST_KERNEL[1]);
  if (recent) return ok('kernel', `Linux ${kernelRelease}`);
  return problem(
    'kernel',
    `Linux ${kernelRelease} is older than ${FIRST_KERNEL.join('.')}, the first with vhost_vsock`,
    'boot a newer kernel',
  );
}

/**
 * @param load load the module where it is on disk
 * @param elsewhere a device process can do without the module, so that its absence is no problem
 */
export async function checkVsock(system: System, { load, elsewhere }: { load: boolean; elsewhere: boolean }): Promise<Finding[]> {
  let state = await moduleState(system, VHOST_VSOCK);
  const failure = load && (state === 'on disk' || state === 'absent') ? await loadModule(system, VHOST_VSOCK) : undefined;
  if (load && failure === undefined) state = await moduleState(system, VHOST_VSOCK);
  const vmci = (await moduleState(system, VMCI_TRANSPORT)) === 'loaded';
  const usable = state === 'loaded' || state === 'built in';
  const findings = [moduleFinding(state, failure, elsewhere)];
  if (vmci) findings.push(vmciFinding(usable));
  findings.push(await deviceFinding(system, usable, elsewhere));
  return findings;
}

function moduleFinding(state: ModuleState, failure: string | undefined, elsewhere: boolean): Finding {
  const id = 'vhost-vsock-module';
  if (failure !== undefined) return problem(id, `${VHOST_VSOCK} could not be loaded: ${failure}`, ...LOAD_STEPS);
  if (state === 'loaded' || state === 'built in') return ok(id, `${VHOST_VSOCK} is ${state}`);
  const worse = elsewhere ? warning : problem;
  if (state === 'on disk') return worse(id, `${VHOST_VSOCK} is not loaded`, ...LOAD_STEPS);
  return worse(
    id,
    `this kernel has no ${VHOST_VSOCK}`,
    "boot a kernel with CONFIG_VHOST_VSOCK; in a container or a VM of a cloud that is the host's to do",
    ...(elsewhere ? [] : (["or install Debian's package vhost-device-vsock, which needs no module"] as const)),
  );
}

/** VMware's transport registers itself as the host's side, of which a kernel has one (linux/net/vmw_vsock/af_vsock.c). */
function vmciFinding(vhostUsable: boolean): Finding {
  const id = 'vmware-transport';
  if (vhostUsable) return note(id, `${VMCI_TRANSPORT} is loaded, and not in the way`);
  return problem(id, `${VMCI_TRANSPORT} is loaded and keeps vhost_vsock out: this host is a guest of VMware`, ...VMCI_STEPS);
}

async function deviceFinding(system: System, moduleUsable: boolean, elsewhere: boolean): Promise<Finding> {
  const id = 'vhost-vsock-device';
  const errno = await system.openDevice(DEVICE);
  if (errno === undefined) return ok(id, `${DEVICE} opens`);
  const worse = elsewhere ? warning : problem;
  const { name } = system.user;
  if (errno === 'EACCES' || errno === 'EPERM') {
    return worse(
      id,
      `${DEVICE} is not ${name}'s to open (${errno})`,
      `sudo setfacl -m u:${name}:rw ${DEVICE}`,
      `at every boot: echo 'KERNEL=="vhost-vsock", GROUP="kvm", MODE="0660"' | sudo tee /etc/udev/rules.d/65-berth.rules, and be in the group kvm`,
    );
  }
  if (errno === 'ENOENT' && moduleUsable) {
    return worse(
      id,
      `${DEVICE} is missing though its module is there`,
      `sudo mknod -m 0660 ${DEVICE} c 10 241   (a container: --device ${DEVICE})`,
    );
  }
  return worse(id, `${DEVICE}: ${errno}`, 'load vhost_vsock first, see above');
}
