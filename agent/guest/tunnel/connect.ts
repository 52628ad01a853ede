// A connected stream socket to something that listens: in the guest's own network and root, or as a process sees them.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Native, native } from '../../../native/index.ts';
import { AgentError, errnoOf, isErrno } from '../../errors.ts';
import { unlessAborted } from '../../unless-aborted.ts';

export type TunnelTarget =
  /** `host` is an IP address. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** An absolute path, or '@' and an abstract name. */
  | { readonly kind: 'unix'; readonly path: string };

export type ConnectDoor = Pick<Native, 'socketIn' | 'connectSocket' | 'openInProcess' | 'close'>;

export interface TargetProcess {
  readonly identity: { readonly containerId: string };
  /** undefined once it has ended. */
  readonly pidfd: number | undefined;
}

export interface ConnectOptions {
  /** The init process whose network and root it is; none for our own. Its descriptor is asked for at each use: it goes when the process ends. */
  readonly process?: TargetProcess;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly door?: ConnectDoor;
}

/** Linux, uapi/asm-generic/fcntl.h: a descriptor that only names the file. */
const O_PATH = 0o10000000;
/** A Unix listener with a full backlog refuses at once where TCP waits (man 2 connect, EAGAIN). */
const BACKLOG_RETRY_MS = 20;

/**
 * The descriptor, non-blocking; the caller closes it.
 * @throws failed_precondition when the process has ended; unavailable naming the errno (field `berth-errno`; ETIMEDOUT at the deadline);
 *   the signal's reason
 */
export async function connectTarget(target: TunnelTarget, options: ConnectOptions): Promise<number> {
  const { signal, timeoutMs, door = native() } = options;
  const deadline = performance.now() + timeoutMs;
  const connecting = connectUntil(target, options.process, deadline, signal, door);
  try {
    return await within(connecting, timeoutMs, signal);
  } catch (error) {
    // It may still come about; nobody wants it any more.
    connecting.then(
      (fd) => door.close(fd),
      () => {},
    );
    if (signal.aborted) throw signal.reason;
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    throw new AgentError('unavailable', `connect to ${describeTarget(target)}: ${errno}`, {
      cause: error,
      fields: { errno, 'berth-errno': errno },
    });
  }
}

function describeTarget(target: TunnelTarget): string {
  if (target.kind === 'unix') return target.path;
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
}

async function connectUntil(
  target: TunnelTarget,
  process: TargetProcess | undefined,
  deadline: number,
  signal: AbortSignal,
  door: ConnectDoor,
): Promise<number> {
  const left = () => Math.max(1, Math.ceil(deadline - performance.now()));
  if (target.kind === 'tcp') {
    const family = target.host.includes(':') ? 'inet6' : 'inet';
    const socket = await entering(process, (pidfd) => door.socketIn(pidfd, family));
    return await connectOnce(socket, target.host, target.port, left(), door);
  }
  // An abstract name belongs to the network, a path to the root: what has been looked up in there is connected to by its descriptor.
  const abstract = target.path.startsWith('@');
  const network = abstract ? process : undefined;
  const open = async (pidfd?: number) => (pidfd === undefined ? pidfd : await door.openInProcess(pidfd, target.path, O_PATH));
  const place = abstract ? undefined : await entering(process, open);
  const address = place === undefined ? target.path : `/proc/self/fd/${place}`;
  try {
    for (;;) {
      const socket = await entering(network, (pidfd) => door.socketIn(pidfd, 'unix'));
      try {
        return await connectOnce(socket, address, 0, left(), door);
      } catch (error) {
        // At the deadline its caller has left with ETIMEDOUT.
        if (!isErrno(error, 'EAGAIN') || signal.aborted || performance.now() >= deadline) throw error;
        await sleep(BACKLOG_RETRY_MS);
      }
    }
  } finally {
    if (place !== undefined) door.close(place);
  }
}

/** What `step` gives in the namespaces of the process. @throws failed_precondition when it has ended */
async function entering<T>(process: TargetProcess | undefined, step: (pidfd: number | undefined) => Promise<T>): Promise<T> {
  if (process === undefined) return await step(undefined);
  if (process.pidfd === undefined) throw endedError(process);
  try {
    return await step(process.pidfd);
  } catch (error) {
    // It has left its namespaces, and its end is yet to be heard of (man 2 setns).
    throw isErrno(error, 'ESRCH') ? endedError(process, error) : error;
  }
}

function endedError({ identity: { containerId } }: TargetProcess, cause?: unknown): AgentError {
  return new AgentError('failed_precondition', `container ${containerId} has ended`, {
    cause,
    fields: { container: containerId },
  });
}

async function connectOnce(socket: number, address: string, port: number, timeoutMs: number, door: ConnectDoor): Promise<number> {
  try {
    return await door.connectSocket(socket, address, port, timeoutMs);
  } finally {
    door.close(socket);
  }
}

/** @throws ETIMEDOUT when it takes longer, in whichever of its steps; the signal's reason */
function within<T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(Object.assign(new Error('not within its time'), { code: 'ETIMEDOUT' })), timeoutMs);
    unlessAborted(work, signal)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
