// Starts a program of the guest itself through `berth-init --launch`, which sets everything up or tells what it could not
// (native/init/launch.c). The program is a child of init from then on, as those that crun makes are.
import { getSystemErrorName } from 'node:util';
import { native } from '../../native/index.ts';
import { AgentError, errnoOf } from '../errors.ts';
import { runChild } from './child.ts';
import { type StartStage, startError } from './start-failure.ts';

/** Setting up takes a millisecond; a directory on a file system that hangs takes for ever. */
const LAUNCH_TIMEOUT_MS = 30_000;
const U32 = 4;
/** pid, stage, errno. */
const STATUS_BYTES = 3 * U32;
/** By their number in berth.v1.StartFailure. */
const STAGES: readonly (StartStage | undefined)[] = [undefined, 'program', 'directory', 'user', 'resources', 'runtime'];

export interface LaunchSpec {
  readonly args: readonly string[];
  /** Its whole environment. */
  readonly env: readonly string[];
  /** / unless told. */
  readonly cwd?: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly umask?: number;
  /** A bit for each capability's number. Absent: what the user has by itself. */
  readonly capabilities?: bigint;
  readonly limits: readonly { readonly kind: number; readonly soft: bigint; readonly hard: bigint }[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj: number;
  /** fd 0 becomes the controlling terminal. */
  readonly terminal: boolean;
  /** `cgroup.procs` of the cgroup it is to run in. */
  readonly cgroupProcs?: string;
  /** Made, with its pid in it once nothing else can go wrong than the program itself. */
  readonly pidFile?: string;
}

/**
 * Runs when this resolves with its pid.
 * @param launcher path of berth-init @param fds its fds 0, 1 and 2; they stay the caller's
 * @throws the error of start-failure.ts; deadline_exceeded
 */
export async function launchInGuest(launcher: string, spec: LaunchSpec, fds: readonly [number, number, number]): Promise<number> {
  const door = native();
  const [ours, theirs] = door.socketPair();
  const status = readStatus(ours);
  try {
    const args = ['berth-init', '--launch', ...launchOptions(spec), '--', ...spec.args];
    const ended = runChild(
      { file: launcher, args, env: spec.env, fds: [...fds, theirs], cwd: '/' },
      { timeoutMs: LAUNCH_TIMEOUT_MS },
    );
    door.close(theirs);
    const [told] = await Promise.all([status.told, ended]);
    return outcome(told, spec);
  } catch (error) {
    status.close();
    if (errnoOf(error) === undefined) throw error;
    throw startError(
      { stage: 'resources', errnoName: errnoOf(error)! },
      `start the launcher ${launcher}: ${String(error)}`,
      error,
    );
  }
}

export function launchOptions(spec: LaunchSpec): string[] {
  const options = ['--uid', `${spec.uid}`, '--gid', `${spec.gid}`, '--groups', spec.groups.join(',')];
  options.push('--oom-score-adj', `${spec.oomScoreAdj}`, '--directory', spec.cwd ?? '/');
  if (spec.umask !== undefined) options.push('--umask', `${spec.umask}`);
  if (spec.capabilities !== undefined) options.push('--capabilities', `${spec.capabilities}`);
  for (const { kind, soft, hard } of spec.limits) options.push('--limit', `${kind}:${soft}:${hard}`);
  if (spec.noNewPrivileges) options.push('--no-new-privileges');
  if (spec.terminal) options.push('--terminal');
  if (spec.cgroupProcs !== undefined) options.push('--cgroup', spec.cgroupProcs);
  if (spec.pidFile !== undefined) options.push('--pid-file', spec.pidFile);
  return options;
}

function outcome(told: Buffer, spec: LaunchSpec): number {
  if (told.length === U32) return told.readUInt32LE(0);
  // A failure before there was a pid is told alone.
  const at = told.length - 2 * U32;
  if (at !== 0 && at !== U32) throw new AgentError('internal', `the launcher told ${told.length} bytes`);
  const stage = STAGES[told.readUInt32LE(at)] ?? 'runtime';
  const errnoName = getSystemErrorName(-told.readUInt32LE(at + U32));
  const what = { program: `run ${JSON.stringify(spec.args[0])}`, directory: `enter ${JSON.stringify(spec.cwd ?? '/')}` };
  const doing =
    stage === 'program' || stage === 'directory' ? what[stage] : `set up the ${stage} of ${JSON.stringify(spec.args[0])}`;
  throw startError({ stage, errnoName }, `${doing}: ${errnoName}`);
}

/** All that comes until the last copy of the other end is closed, which exec does. */
function readStatus(fd: number): { told: Promise<Buffer>; close(): void } {
  const door = native();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  promise.catch(() => {});
  let told = Buffer.alloc(0);
  const watch = door.watchReadable(fd, () => {
    try {
      const { data } = door.recvFds(fd, STATUS_BYTES);
      told = Buffer.concat([told, data]);
      if (data.length > 0 && told.length <= STATUS_BYTES) return;
      close();
      resolve(told);
    } catch (error) {
      if (errnoOf(error) === 'EAGAIN') return;
      close();
      reject(error);
    }
  });
  const timer = setTimeout(() => {
    close();
    reject(new AgentError('deadline_exceeded', `the program was not started within ${LAUNCH_TIMEOUT_MS} ms`));
  }, LAUNCH_TIMEOUT_MS);
  let open = true;
  const close = () => {
    if (!open) return;
    open = false;
    clearTimeout(timer);
    watch.close();
    door.close(fd);
  };
  return { told: promise, close };
}
