// What this machine can do for a guest, and which way of booting follows from it. The findings are taken from the
// machine; the decision is a pure function of them, so that every kind of machine can be tried in a test.
import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { AgentError, errnoOf } from '../../agent/errors.ts';
import { type KvmVerdict, recallKvm } from './kvm-verdict.ts';
import { findTool, toolPackages } from './tools.ts';

/**
 * `direct`: the kernel's vhost-vsock. `vhost-user`: the same device in a process of its own, no kernel module. `serial`: no vsock, a
 * virtio-serial port, which one client uses at a time; only where it is asked for.
 */
export type Way = 'direct' | 'vhost-user' | 'serial';
export type Accel = 'kvm' | 'tcg';

export interface Finding {
  usable: boolean;
  reason: string;
}

export interface MachineFindings {
  qemu?: string;
  vhostDeviceVsock?: string;
  virtiofsd?: string;
  /** /dev/vhost-vsock */
  vhostVsock: Finding;
  /** /dev/kvm can be opened; whether a guest runs under it only a guest can show. */
  kvm: Finding;
  /** What an earlier guest showed of KVM since the machine booted. */
  kvmVerdict?: KvmVerdict;
}

export interface Decision {
  way: Way;
  accel: Accel;
  /** Whether to fall back to emulation when a guest under KVM stays silent. */
  mayFallBack: boolean;
  /** One sentence for each choice made. */
  reasons: string[];
}

export interface Wish {
  way?: Way;
  accel?: Accel;
}

export function probeMachine(): MachineFindings {
  return {
    qemu: findTool('qemu-system-x86_64'),
    vhostDeviceVsock: findTool('vhost-device-vsock'),
    virtiofsd: findTool('virtiofsd'),
    vhostVsock: openable('/dev/vhost-vsock', 'load the kernel module vhost_vsock'),
    kvm: openable('/dev/kvm', 'no hardware virtualisation, or no permission'),
    kvmVerdict: recallKvm(),
  };
}

/** BERTH_VM_WAY and BERTH_VM_ACCEL; an empty value is none. @throws AgentError invalid_argument */
export function wishFromEnvironment(env: NodeJS.ProcessEnv = process.env): Wish {
  const way = env['BERTH_VM_WAY'] || undefined;
  const accel = env['BERTH_VM_ACCEL'] || undefined;
  if (way === 'emulated') {
    throw new AgentError(
      'failed_precondition',
      'BERTH_VM_WAY=emulated runs a whole command in an emulated host; this process is not inside one',
      {
        fields: { field: 'BERTH_VM_WAY' },
      },
    );
  }
  if (way !== undefined && way !== 'direct' && way !== 'vhost-user' && way !== 'serial')
    throw unknownValue('BERTH_VM_WAY', way, 'direct, vhost-user, serial or emulated');
  if (accel !== undefined && accel !== 'kvm' && accel !== 'tcg') throw unknownValue('BERTH_VM_ACCEL', accel, 'kvm or tcg');
  return { way, accel };
}

/** @throws AgentError failed_precondition that says what is missing and which package has it */
export function decide(findings: MachineFindings, wish: Wish = {}): Decision {
  const reasons: string[] = [];
  if (findings.qemu === undefined) throw missing('QEMU is not installed', 'qemu-system-x86_64');
  const way = decideWay(findings, wish.way, reasons);
  if (wish.accel !== undefined) {
    if (wish.accel === 'kvm' && !findings.kvm.usable) throw cannot(`KVM was asked for: ${findings.kvm.reason}`);
    reasons.push(`${wish.accel}: asked for`);
    return { way, accel: wish.accel, mayFallBack: false, reasons };
  }
  const { kvm, kvmVerdict } = findings;
  if (!kvm.usable) reasons.push(`tcg: ${kvm.reason}`);
  else if (kvmVerdict?.works === false) reasons.push(`tcg: KVM failed here before (${kvmVerdict.reason})`);
  else
    reasons.push(
      kvmVerdict === undefined ? 'kvm: /dev/kvm opens, to be proved by this guest' : 'kvm: an earlier guest ran under it',
    );
  const accel = kvm.usable && kvmVerdict?.works !== false ? 'kvm' : 'tcg';
  return { way, accel, mayFallBack: accel === 'kvm' && kvmVerdict === undefined, reasons };
}

function decideWay(findings: MachineFindings, wish: Way | undefined, reasons: string[]): Way {
  const { vhostVsock, vhostDeviceVsock } = findings;
  if (wish === 'serial') {
    reasons.push('serial: asked for');
    return wish;
  }
  if (wish === 'direct' || (wish === undefined && vhostVsock.usable)) {
    if (!vhostVsock.usable) throw cannot(`vhost-vsock was asked for: ${vhostVsock.reason}`);
    reasons.push(wish === undefined ? 'direct: /dev/vhost-vsock opens' : 'direct: asked for');
    return 'direct';
  }
  if (vhostDeviceVsock === undefined) {
    throw missing(
      `no vsock for a guest: ${vhostVsock.reason}, and vhost-device-vsock is not installed (a serial port needs neither, for one client at a time)`,
      'vhost-device-vsock',
    );
  }
  reasons.push(wish === undefined ? `vhost-user: ${vhostVsock.reason}` : 'vhost-user: asked for');
  return 'vhost-user';
}

function openable(path: string, hint: string): Finding {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    closeSync(openSync(path, 'r+'));
    return { usable: true, reason: `${path} opens` };
  } catch (error) {
    return { usable: false, reason: `${path}: ${errnoOf(error) ?? 'unknown error'} (${hint})` };
  }
}

function missing(text: string, tool: keyof typeof toolPackages): AgentError {
  return cannot(`${text}; install Debian's package ${toolPackages[tool]}`);
}

function cannot(text: string): AgentError {
  return new AgentError('failed_precondition', text);
}

function unknownValue(field: string, value: string, known: string): AgentError {
  return new AgentError('invalid_argument', `${field}: ${JSON.stringify(value)} is none of ${known}`, { fields: { field } });
}
