// The agent's end of the wire to berth-init: exits of processes that are init's children, fds that outlive the agent, power-off.
import { AgentError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type FdStore, KeeperFdStore } from './fd-store.ts';
import { type Answer, KeeperLink, type Notice } from './link.ts';
import {
  type ExitRecord,
  encodeAck,
  encodePet,
  encodePowerOff,
  encodeResized,
  encodeSettle,
  encodeTrack,
  encodeUpgrade,
  isU32,
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
  /** Tells init that memory was added or taken away: the limits of the workload follow. Returns at once. */
  resized(): void;
  /**
   * Asks init to run the script at `path` once this agent has exited, in place of argument number `argument` of the agent's command, at once. A
   * script that ends twice before its `settle` is given up for the command as it was (native/init/keeper.h).
   * @throws failed_precondition where init does not restart the agent, or is older than this; unavailable when init is gone
   */
  upgrade(path: string, argument: number): Promise<void>;
  /** Tells init to power off once this agent has exited. Returns at once; exiting is the caller's part. */
  powerOff(): void;
  readonly fds: FdStore;
  /** 1 for the first agent since init started. */
  readonly generation: number;
  /** Gives up every wait and closes the fd. */
  close(): void;
}

/** Takes over `fd`, the socket that init gave the agent. @throws unavailable when it is not one */
export function connectKeeper(fd: number, log: Logger): Keeper {
  return new SocketKeeper(fd, log);
}

/** Within the time that init waits for one. */
const PETS_PER_LIMIT = 6;

interface Waiter {
  resolve(record: ExitRecord): void;
  reject(error: AgentError): void;
}

class SocketKeeper implements Keeper {
  readonly fds: FdStore;
  readonly generation: number;
  readonly #link: KeeperLink;
  /** By pid and start time. */
  readonly #waiters = new Map<string, Waiter[]>();
  #petting: NodeJS.Timeout | undefined;

  constructor(fd: number, log: Logger) {
    this.#link = new KeeperLink(fd, log, {
      onNotice: (notice) => this.#onExit(notice),
      onEnd: (error) => this.#onEnd(error),
    });
    this.fds = new KeeperFdStore(this.#link);
    const { generation, tracked, watchdogMs } = this.#link.welcome;
    this.generation = generation;
    if (watchdogMs > 0) this.#petEvery(watchdogMs / PETS_PER_LIMIT);
    if (tracked > 0) log.info('exits kept from an earlier agent', { generation, tracked });
  }

  exitOf(pid: number, startTime?: bigint, since = 0n): Promise<ExitRecord> {
    if (!isU32(pid) || pid === 0) {
      return Promise.reject(new AgentError('invalid_argument', 'the pid is out of range', { fields: { pid } }));
    }
    return new Promise((resolve, reject) => {
      const answer = (message: Answer) => {
        if (message.type !== 'result' || message.result !== 'ok') reject(refusal(pid, message));
        else this.#wait({ pid, startTime: message.startTime }, { resolve, reject });
        return true;
      };
      this.#link.request({ answer, fail: reject }, (id) => encodeTrack(id, pid, startTime, since));
    });
  }

  settle(): void {
    this.#link.tell(encodeSettle());
  }

  resized(): void {
    this.#link.tell(encodeResized());
  }

  upgrade(path: string, argument: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const answer = (message: Answer) => {
        const result = message.type === 'result' ? message.result : 'fds';
        if (result === 'ok') resolve();
        else reject(new AgentError('failed_precondition', `berth-init runs no other agent than its own: ${result}`));
        return true;
      };
      this.#link.request({ answer, fail: reject }, (id) => encodeUpgrade(id, path, argument));
    });
  }

  powerOff(): void {
    this.#link.tell(encodePowerOff());
  }

  close(): void {
    this.#link.close();
  }

  /** init ends an agent that is silent for the whole limit: blocked, or stopped. */
  #petEvery(ms: number): void {
    const pet = encodePet();
    this.#link.tell(pet);
    this.#petting = setInterval(() => this.#link.tell(pet), ms).unref();
  }

  #wait(process: ProcessName, waiter: Waiter): void {
    const key = keyOf(process);
    this.#waiters.set(key, [...(this.#waiters.get(key) ?? []), waiter]);
  }

  #onExit(notice: Notice): void {
    const process = notice.type === 'exit' ? notice.record : notice.process;
    const key = keyOf(process);
    const waiters = this.#waiters.get(key) ?? [];
    this.#waiters.delete(key);
    for (const waiter of waiters) {
      if (notice.type === 'exit') waiter.resolve(notice.record);
      else waiter.reject(lost(process));
    }
    // Whoever waits runs before this: should that kill the agent, the next one is told again.
    setImmediate(() => this.#link.tell(encodeAck(process)));
  }

  #onEnd(error: AgentError): void {
    clearInterval(this.#petting);
    const waiters = [...this.#waiters.values()].flat();
    this.#waiters.clear();
    for (const waiter of waiters) waiter.reject(error);
  }
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

function refusal(pid: number, answer: Answer): AgentError {
  const result = answer.type === 'result' ? answer.result : 'fds';
  if (result === 'unknown')
    return new AgentError('not_found', `no process ${pid} and no record of its exit`, { fields: { pid } });
  if (result === 'full') return tooMany(pid);
  return new AgentError('internal', `berth-init refused to track process ${pid}: ${result}`, { fields: { pid } });
}
