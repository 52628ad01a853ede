// A program that a client asks to run: checked, and put into the words of who starts it, crun for a container or the launcher in the guest.
import { checkArgsAndEnv } from '../container/spec/args-and-env.ts';
import { CAPABILITIES, RLIMITS } from '../container/spec/names.ts';
import type { CapabilitiesSpec, ProcessSpec, RuntimeSpec } from '../container/spec/types.ts';
import { AgentError } from '../errors.ts';
import type { LaunchSpec } from '../process/launcher.ts';

/** setgroups(2) takes 65536; nobody needs a tenth of what this allows. */
const MAX_GROUPS = 1024;
/** A terminal's size is 16 bits wide (man 2 TIOCSWINSZ). */
const MAX_CELLS = 0xffff;
const MAX_ID = 0xfffffffe;
const DEFAULT_UMASK = 0o022;
/** Of the guest's own processes, when nothing else is asked for. */
const GUEST_ENV = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'];

export interface Program {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user?: { uid: number; gid: number; additionalGids: readonly number[]; umask?: number | undefined } | undefined;
  readonly terminal: boolean;
  readonly size?: { readonly rows: number; readonly columns: number } | undefined;
  readonly capabilities?: readonly string[] | undefined;
  readonly rlimits: readonly { readonly type: string; readonly soft: bigint; readonly hard: bigint }[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number | undefined;
}

/** man 2 getrlimit; asm-generic/resource.h */
const RLIMIT_KINDS = 'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'.split(
  ' ',
);

/** @throws invalid_argument naming the field; resource_exhausted */
export function checkProgram(program: Program): void {
  const { args, env, cwd, user, size, capabilities, rlimits, oomScoreAdj } = program;
  if (!args[0]) refuse('program.args', 'names no program');
  for (const text of [...args, ...env, cwd]) if (text.includes('\0')) refuse('program', 'a text holds a NUL');
  for (const entry of env)
    if (entry.indexOf('=') < 1) refuse('program.env', `${JSON.stringify(entry.slice(0, 80))} is not KEY=value`);
  checkArgsAndEnv(args, env, 'program.args');
  if (cwd !== '' && !cwd.startsWith('/')) refuse('program.cwd', 'is not absolute');
  if (user !== undefined) {
    if (user.additionalGids.length > MAX_GROUPS) refuse('program.user.additional_gids', `has more than ${MAX_GROUPS}`);
    for (const id of [user.uid, user.gid, ...user.additionalGids]) if (id > MAX_ID) refuse('program.user', `${id} is no id`);
    if ((user.umask ?? 0) > 0o777) refuse('program.user.umask', 'is above 0777');
  }
  if (size !== undefined && (size.rows > MAX_CELLS || size.columns > MAX_CELLS)) refuse('program.size', 'is above 65535');
  for (const name of capabilities ?? [])
    if (!CAPABILITIES.has(name)) refuse('program.capabilities', `${JSON.stringify(name)} is unknown`);
  const seen = new Set<string>();
  for (const { type, soft, hard } of rlimits) {
    if (!RLIMITS.has(type) || seen.has(type)) refuse('program.rlimits', `${JSON.stringify(type)} is unknown or listed twice`);
    if (soft > hard) refuse('program.rlimits', `${type}: ${soft} is above the hard limit ${hard}`);
    seen.add(type);
  }
  if (oomScoreAdj !== undefined && Math.abs(oomScoreAdj) > 1000) refuse('program.oom_score_adj', 'is not from -1000 to 1000');
}

/** For `crun exec`; what is left out is as the container's init has it. */
export function toProcessSpec(program: Program, container: RuntimeSpec): ProcessSpec {
  const { process } = container;
  const { user } = program;
  return {
    terminal: program.terminal || undefined,
    consoleSize: program.size && { height: program.size.rows, width: program.size.columns },
    user: user
      ? { uid: user.uid, gid: user.gid, additionalGids: [...user.additionalGids], umask: user.umask ?? DEFAULT_UMASK }
      : process.user,
    args: [...program.args],
    env: lastOfEqualKeys([...process.env, ...(program.terminal ? ['TERM=xterm'] : []), ...program.env]),
    cwd: program.cwd || process.cwd,
    capabilities: program.capabilities ? onlyThese(program.capabilities) : process.capabilities,
    rlimits: program.rlimits.length > 0 ? [...program.rlimits] : process.rlimits,
    noNewPrivileges: program.noNewPrivileges || process.noNewPrivileges,
    oomScoreAdj: program.oomScoreAdj ?? process.oomScoreAdj,
  };
}

/** For the launcher. */
export function toLaunchSpec(program: Program): Omit<LaunchSpec, 'cgroupProcs'> {
  const { user } = program;
  return {
    args: program.args,
    env: lastOfEqualKeys([...GUEST_ENV, ...(program.terminal ? ['TERM=xterm'] : []), ...program.env]),
    cwd: program.cwd || '/',
    uid: user?.uid ?? 0,
    gid: user?.gid ?? 0,
    groups: user?.additionalGids ?? [],
    umask: user?.umask ?? DEFAULT_UMASK,
    capabilities: program.capabilities && capabilityMask(program.capabilities),
    limits: program.rlimits.map(({ type, soft, hard }) => ({
      kind: RLIMIT_KINDS.indexOf(type.slice('RLIMIT_'.length)),
      soft,
      hard,
    })),
    noNewPrivileges: program.noNewPrivileges,
    oomScoreAdj: program.oomScoreAdj ?? 0,
    terminal: program.terminal,
  };
}

function onlyThese(names: readonly string[]): CapabilitiesSpec {
  const all = [...new Set(names)];
  return { bounding: all, effective: all, permitted: all, inheritable: [], ambient: [] };
}

/** CAPABILITIES is in the order of their numbers. */
function capabilityMask(names: readonly string[]): bigint {
  const order = [...CAPABILITIES];
  return names.reduce((mask, name) => mask | (1n << BigInt(order.indexOf(name))), 0n);
}

function lastOfEqualKeys(env: readonly string[]): string[] {
  return [...new Map(env.map((entry) => [entry.slice(0, entry.indexOf('=')), entry])).values()];
}

function refuse(field: string, reason: string): never {
  throw new AgentError('invalid_argument', `${field} ${reason}`, { fields: { field } });
}
