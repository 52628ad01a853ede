// The agent's end of the wire to berth-init: exits of processes that are init's children, and power-off.
import { native, type Watch } from '../../native/index.ts';
import { AgentError, describeError, fromErrno, isErrno } from '../errors.ts';
import type { Logger } from '../log.ts';
import {
  decodeMessage,
  type ExitRecord,
  encodeAck,
  encodePowerOff,
  encodeSettle,
  encodeTrack,
  isU32,
  KEEPER_MESSAGE_MAX,
  type KeeperMessage,
  type KeeperResult,
  type ProcessName,
} from './wire.ts';

export type { ExitRecord } from './wire.ts';

export interface Keeper {
  /**
   * The end of a process that is a child of init, or will be when its parent ends; may be asked before, or a while after
   * the exit. A process whose start time could not be read is the newest of that pid since `since` (ticks since boot, see
   * `ticksSinceBoot`; all of them when left out). init keeps the record until it has been delivered here.
   * @throws not_found when there is no such process and no record of one, or another parent took its status
   * @throws resource_exhausted when init tracks as many processes as it can; unavailable when init is gone
   */
  exitOf(pid: number, startTime?: bigint, since?: bigint): Promise<ExitRecord>;
  /** Tells init that every process worth knowing has been asked for: records for earlier agents may go. */
  settle(): void;
  /** Tells init to power off once this agent has exited. Returns at once; exiting is the caller's part. */
  powerOff(): void;
  /** 1 for the first agent since init started. */
  readonly generation: number;
  /** Gives up every wait and closes the fd. */
  close(): void;
}

/** Asked for and not answered yet; init's own table holds half as many. */
const REQUESTS_MAX = 8192;
/** Messages that the socket had no room for. */
const BACKLOG_MAX = 2 * REQUESTS_MAX;
const RETRY_MS = 5;
/** Read in one go before other work gets its turn. */
const MESSAGES_PER_TURN = 256;

/** Takes over `fd`, the socket that init gave the agent. @throws unavailable when it is not one */
export function connectKeeper(fd: number, log: Logger): Keeper {
  return new SocketKeeper(fd, log);
}

interface Waiter {
  resolve(record: ExitRecord): void;
  reject(error: AgentError): void;
}

interface Request extends Waiter {
  pid: number;
}

class SocketKeeper implements Keeper {
  readonly generation: number;
  readonly #fd: number;
  readonly #log: Logger;
  readonly #watch: Watch;
  readonly #requests = new Map<number, Request>();
  /** By pid and start time. */
  readonly #waiters = new Map<string, Waiter[]>();
  readonly #backlog: Buffer[] = [];
  #retry: NodeJS.Timeout | undefined;
  #lastId = 0;
  #ended: AgentError | undefined;

  constructor(fd: number, log: Logger) {
    this.#fd = fd;
    this.#log = log;
    const welcome = readWelcome(fd);
    this.generation = welcome.generation;
    if (welcome.tracked > 0)
      log.info('exits kept from an earlier agent', { generation: welcome.generation, tracked: welcome.tracked });
    this.#watch = native().watchReadable(fd, () => this.#onReadable());
  }

  exitOf(pid: number, startTime?: bigint, since = 0n): Promise<ExitRecord> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (!isU32(pid) || pid === 0) {
      return Promise.reject(new AgentError('invalid_argument', 'the pid is out of range', { fields: { pid } }));
    }
    if (this.#requests.size >= REQUESTS_MAX) return Promise.reject(tooMany(pid));
    return new Promise((resolve, reject) => {
      const id = this.#nextId();
      this.#requests.set(id, { pid, resolve, reject });
      this.#send(encodeTrack(id, pid, startTime, since));
    });
  }

  settle(): void {
    this.#send(encodeSettle());
  }

  powerOff(): void {
    this.#send(encodePowerOff());
  }

  close(): void {
    this.#end(new AgentError('cancelled', 'the connection to berth-init is closed'));
  }

  #nextId(): number {
    do this.#lastId = this.#lastId >= 0xffff_ffff ? 1 : this.#lastId + 1;
    while (this.#requests.has(this.#lastId));
    return this.#lastId;
  }

  #onReadable(): void {
    for (let i = 0; i < MESSAGES_PER_TURN && this.#ended === undefined; i++) {
      const data = this.#receive();
      if (data === undefined) break;
      if (data.length === 0) this.#end(new AgentError('unavailable', 'berth-init closed its connection'));
      else this.#onMessage(data);
    }
    this.#flush();
  }

  /** undefined when there is nothing to read now. */
  #receive(): Buffer | undefined {
    try {
      return receive(this.#fd);
    } catch (error) {
      if (isErrno(error, 'EAGAIN')) return undefined;
      this.#end(fromErrno(error, 'read from berth-init'));
      return undefined;
    }
  }

  #onMessage(data: Buffer): void {
    let message: KeeperMessage;
    try {
      message = decodeMessage(data);
    } catch (error) {
      this.#log.error('unreadable message from berth-init', { error: describeError(error) });
      return;
    }
    if (message.type === 'result') this.#onResult(message.id, message.result, message.startTime);
    else if (message.type === 'exit') this.#onExit(message.record, (waiter) => waiter.resolve(message.record));
    else if (message.type === 'lost') this.#onExit(message.process, (waiter) => waiter.reject(lost(message.process)));
  }

  #onResult(id: number, result: KeeperResult, startTime: bigint): void {
    const request = this.#requests.get(id);
    if (request === undefined) {
      this.#log.error('berth-init refused a message', { result });
      return;
    }
    this.#requests.delete(id);
    if (result !== 'ok') {
      request.reject(refusal(request.pid, result));
      return;
    }
    const key = keyOf({ pid: request.pid, startTime });
    this.#waiters.set(key, [...(this.#waiters.get(key) ?? []), request]);
  }

  #onExit(process: ProcessName, deliver: (waiter: Waiter) => void): void {
    const key = keyOf(process);
    const waiters = this.#waiters.get(key) ?? [];
    this.#waiters.delete(key);
    for (const waiter of waiters) deliver(waiter);
    // Whoever waits runs before this: should that kill the agent, the next one is told again.
    setImmediate(() => this.#send(encodeAck(process)));
  }

  #send(message: Buffer): void {
    if (this.#ended !== undefined) return;
    if (this.#backlog.length >= BACKLOG_MAX) {
      this.#end(new AgentError('resource_exhausted', `berth-init has not read for ${BACKLOG_MAX} messages`));
      return;
    }
    this.#backlog.push(message);
    this.#flush();
  }

  /** init stops reading while we do not read its answers, so what didn't fit goes out after reading, or a little later. */
  #flush(): void {
    let sent = 0;
    try {
      for (; this.#ended === undefined && sent < this.#backlog.length; sent++)
        native().sendFds(this.#fd, this.#backlog[sent]!, []);
    } catch (error) {
      if (!isErrno(error, 'EAGAIN')) this.#end(fromErrno(error, 'write to berth-init'));
    }
    this.#backlog.splice(0, sent);
    if (this.#ended !== undefined || this.#backlog.length === 0 || this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#flush();
    }, RETRY_MS);
  }

  #end(error: AgentError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    clearTimeout(this.#retry);
    this.#watch.close();
    native().close(this.#fd);
    const waiters = [...this.#requests.values(), ...[...this.#waiters.values()].flat()];
    this.#requests.clear();
    this.#waiters.clear();
    if (error.code !== 'cancelled')
      this.#log.error('lost the connection to berth-init', { error: describeError(error), waits: waiters.length });
    for (const waiter of waiters) waiter.reject(error);
  }
}

function receive(fd: number): Buffer {
  const { data, fds } = native().recvFds(fd, KEEPER_MESSAGE_MAX);
  for (const stray of fds) native().close(stray);
  return data;
}

/** init writes it before it starts the agent, so it is there or this is no keeper socket. */
function readWelcome(fd: number): KeeperMessage & { type: 'welcome' } {
  let message: KeeperMessage;
  try {
    message = decodeMessage(receive(fd));
  } catch (error) {
    throw new AgentError('unavailable', `fd ${fd} is not the socket of berth-init`, { cause: error, fields: { fd } });
  }
  if (message.type === 'welcome') return message;
  throw new AgentError('unavailable', `berth-init began with ${message.type}, not with its welcome`, { fields: { fd } });
}

function keyOf({ pid, startTime }: ProcessName): string {
  return `${pid}@${startTime}`;
}

function tooMany(pid: number): AgentError {
  return new AgentError('resource_exhausted', 'too many processes are waited for', { fields: { pid } });
}

function lost({ pid }: ProcessName): AgentError {
  return new AgentError('not_found', `process ${pid} is gone, and another parent took its exit status`, { fields: { pid } });
}

function refusal(pid: number, result: KeeperResult): AgentError {
  if (result === 'unknown')
    return new AgentError('not_found', `no process ${pid} and no record of its exit`, { fields: { pid } });
  if (result === 'full') return tooMany(pid);
  return new AgentError('internal', `berth-init refused to track process ${pid}: ${result}`, { fields: { pid } });
}
