// Linux capabilities of a container: docker's default set, and what --cap-add and --cap-drop make of it (man 7 capabilities).
import { AgentError } from '../agent/errors.ts';

/** What docker and containerd give a container that asks for nothing. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

/** All of linux/capability.h up to 6.12. */
export const ALL_CAPABILITIES: readonly string[] = [
  ...DEFAULT_CAPABILITIES,
  'CAP_AUDIT_CONTROL',
  'CAP_AUDIT_READ',
  'CAP_BLOCK_SUSPEND',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
  'CAP_DAC_READ_SEARCH',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_LEASE',
  'CAP_LINUX_IMMUTABLE',
  'CAP_MAC_ADMIN',
  'CAP_MAC_OVERRIDE',
  'CAP_NET_ADMIN',
  'CAP_NET_BROADCAST',
  'CAP_PERFMON',
  'CAP_SYSLOG',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_MODULE',
  'CAP_SYS_NICE',
  'CAP_SYS_PACCT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_WAKE_ALARM',
];

/**
 * The set left when `drop` is taken from the defaults and `add` is put in; `ALL` stands for every capability.
 * Names go with or without `CAP_`, in either case. With both, an explicit name wins over `ALL`, as in docker.
 * @throws AgentError invalid_argument for a name the kernel does not have
 */
export function capabilitySet(add: readonly string[] = [], drop: readonly string[] = []): string[] {
  const added = add.map(normalize);
  const dropped = drop.map(normalize);
  const base = added.includes('ALL') ? ALL_CAPABILITIES : dropped.includes('ALL') ? [] : DEFAULT_CAPABILITIES;
  const set = new Set(base);
  for (const name of dropped) set.delete(name);
  for (const name of added) if (name !== 'ALL') set.add(name);
  return [...set].sort();
}

function normalize(name: string): string {
  const upper = name.toUpperCase();
  if (upper === 'ALL') return upper;
  const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (!ALL_CAPABILITIES.includes(full)) {
    throw new AgentError('invalid_argument', `unknown capability '${name}'`, { fields: { field: 'capability', value: name } });
  }
  return full;
}
