// The closed vocabularies of a spec: capabilities, resource limits, device types.

/** man 7 capabilities, in the order of their numbers. */
export const CAPABILITIES: ReadonlySet<string> = new Set(
  (
    'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
    'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
    'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
    'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
  )
    .split(' ')
    .map((name) => `CAP_${name}`),
);

/** man 2 getrlimit */
export const RLIMITS: ReadonlySet<string> = new Set(
  'AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK'
    .split(' ')
    .map((name) => `RLIMIT_${name}`),
);

/**
 * `CAP_X` for `CAP_X`, `X`, either in any case, and either as a JSON string (all of which Kata takes); undefined when unknown.
 */
export function capabilityName(text: string): string | undefined {
  const bare = /^"(.*)"$/.exec(text)?.[1] ?? text;
  const upper = bare.toUpperCase();
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  return CAPABILITIES.has(name) ? name : undefined;
}
