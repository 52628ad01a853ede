// System call filters of the OCI runtime specification (config-linux.md, "Seccomp"), and the words it allows.

export interface SeccompSpec {
  defaultAction: string;
  architectures?: string[];
  flags?: string[];
  syscalls?: SeccompRule[];
}

export interface SeccompRule {
  names: string[];
  action: string;
  /** Absent: EPERM. */
  errnoRet?: number;
  args?: SeccompArg[];
}

export interface SeccompArg {
  /** Position of the argument, 0 to 5. */
  index: number;
  value: bigint;
  valueTwo: bigint;
  op: string;
}

/** SCMP_ACT_NOTIFY is left out: its listener can't be named in Kata's protocol. */
export const SECCOMP_ACTIONS: ReadonlySet<string> = new Set(
  ['KILL', 'KILL_PROCESS', 'KILL_THREAD', 'TRAP', 'ERRNO', 'TRACE', 'ALLOW', 'LOG'].map((action) => `SCMP_ACT_${action}`),
);

export const SECCOMP_OPERATORS: ReadonlySet<string> = new Set(
  ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map((operator) => `SCMP_CMP_${operator}`),
);

export const SECCOMP_ARCHITECTURES: ReadonlySet<string> = new Set(
  (
    'X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X ' +
    'PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB'
  )
    .split(' ')
    .map((architecture) => `SCMP_ARCH_${architecture}`),
);

/** man 2 seccomp, SECCOMP_SET_MODE_FILTER. */
export const SECCOMP_FLAGS: ReadonlySet<string> = new Set([
  'SECCOMP_FILTER_FLAG_TSYNC',
  'SECCOMP_FILTER_FLAG_LOG',
  'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
  'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV',
]);
