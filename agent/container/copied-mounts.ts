// Mounts that a process of one container of a pod makes, and that another container gets (CreateContainer.shared_mounts): a
// copy of the mount, put into the other's mount namespace before its process starts.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Native, native } from '../../native/index.ts';
import { AgentError, fromErrno, isErrno } from '../errors.ts';
import { readMounts } from '../guest/mount-table.ts';
import type { ContainerProcess } from '../process/container-process.ts';
import { checkAbsolutePath, isWithin } from './spec/paths.ts';
import { quote, refuse } from './spec/refusal.ts';

export interface CopiedMount {
  /** For messages. */
  readonly name: string;
  /** Id of the container that makes the mount, or its name in the pod. */
  readonly sourceContainer: string;
  readonly sourcePath: string;
  readonly targetPath: string;
}

export type InitProcess = Pick<ContainerProcess, 'identity' | 'exit' | 'pidfd'>;

/** Of one container. */
const MAX_MOUNTS = 64;
/** The source makes its mount once it runs, so it may come later than this container; for all of them together. */
const WAIT_MS = 10_000;
const LOOK_MS = 100;

/** @throws invalid_argument naming the field */
export function checkCopiedMounts(mounts: readonly CopiedMount[]): CopiedMount[] {
  if (mounts.length > MAX_MOUNTS) refuse('shared_mounts', `more than ${MAX_MOUNTS}`);
  return mounts.map((mount, index) => {
    const field = `shared_mounts[${index}]`;
    if (mount.sourceContainer === '') refuse(`${field}.src_ctr`, 'is empty');
    const targetPath = checkAbsolutePath(mount.targetPath, `${field}.dst_path`);
    // As for a mount of the spec: what lies there tells programs of the kernel (CVE-2019-16884).
    if (targetPath === '/' || isWithin(targetPath, '/proc') || isWithin(targetPath, '/sys')) {
      refuse(`${field}.dst_path`, `${quote(mount.targetPath)} can't be mounted over`);
    }
    return { ...mount, sourcePath: checkAbsolutePath(mount.sourcePath, `${field}.src_path`), targetPath };
  });
}

export interface CopyOptions {
  /** The init process of a container of the pod, by its id or name. */
  find(container: string): InitProcess | undefined;
  door?: Pick<Native, 'copyMount'>;
  mountsOf?: (pid: number) => Promise<readonly { target: string }[]>;
  waitMs?: number;
}

/** @throws not_found without the source container; deadline_exceeded when it makes no such mount; failed_precondition when it ends */
export async function copyMounts(mounts: readonly CopiedMount[], target: InitProcess, options: CopyOptions): Promise<void> {
  const { door = native(), mountsOf = readMountsOf, waitMs = WAIT_MS } = options;
  const deadline = Date.now() + waitMs;
  for (const mount of mounts) {
    const source = options.find(mount.sourceContainer);
    if (source === undefined) throw failure('not_found', mount, 'no such container');
    await waitForMount(mount, source, mountsOf, deadline);
    if (source.pidfd === undefined || target.pidfd === undefined)
      throw failure('failed_precondition', mount, 'the container has ended');
    try {
      await door.copyMount(source.pidfd, mount.sourcePath, target.pidfd, mount.targetPath);
    } catch (error) {
      throw fromErrno(
        error,
        `shared_mounts: ${mount.name}: copy ${mount.sourcePath} of ${mount.sourceContainer}`,
        fieldsOf(mount),
      );
    }
  }
}

async function waitForMount(
  mount: CopiedMount,
  source: InitProcess,
  mountsOf: NonNullable<CopyOptions['mountsOf']>,
  deadline: number,
): Promise<void> {
  for (;;) {
    if (source.exit !== undefined) throw failure('failed_precondition', mount, 'the container has ended');
    const mounted = await mountsOf(source.identity.pid);
    if (mounted.some(({ target }) => target === mount.sourcePath)) return;
    if (Date.now() >= deadline) throw failure('deadline_exceeded', mount, `nothing is mounted on ${mount.sourcePath}`);
    await sleep(LOOK_MS);
  }
}

async function readMountsOf(pid: number): Promise<readonly { target: string }[]> {
  try {
    return await readMounts(`/proc/${pid}/mountinfo`);
  } catch (error) {
    // It is ending: its exit is on the way.
    if (isErrno(error, 'ENOENT', 'EINVAL', 'ESRCH')) return [];
    throw fromErrno(error, `read the mounts of process ${pid}`);
  }
}

function failure(
  code: 'not_found' | 'deadline_exceeded' | 'failed_precondition',
  mount: CopiedMount,
  problem: string,
): AgentError {
  return new AgentError(code, `shared_mounts: ${mount.name} of container ${quote(mount.sourceContainer)}: ${problem}`, {
    fields: fieldsOf(mount),
  });
}

function fieldsOf({ name, sourceContainer, sourcePath }: CopiedMount) {
  return { field: 'shared_mounts', name, container: sourceContainer, path: sourcePath };
}
