// The fds that berth-init holds for agents to come: what the next one finds is exactly what the last one had put.
import { AgentError } from '../errors.ts';
import type { Answer, Asker, KeeperLink } from './link.ts';
import { encodeFdList, encodeFdRequest, KEEPER_FDS_MAX, KEEPER_KEY_BYTES, type KeeperResult } from './wire.ts';

export interface KeptFds {
  readonly key: Buffer;
  readonly count: number;
}

/** Requests may be made without waiting for each other; berth-init carries them out in their order. */
export interface FdStore {
  /**
   * Resolves once berth-init holds its own copies of these, under a key of 16 bytes, in place of what was there. At most 16, open
   * until then, and the caller's to close; none is a delete. No file whose last close may block (network, FUSE): PID 1 would stand still.
   * @throws resource_exhausted when there is no room (what was there stays); invalid_argument; unavailable when init is gone
   */
  put(key: Buffer, fds: readonly number[]): Promise<void>;
  /** Copies of what is held, in the order of the put, the caller's to close; [] for a key that is not there. */
  get(key: Buffer): Promise<number[]>;
  /** Lets go of what is held under the key; one that is not there is fine. */
  delete(key: Buffer): Promise<void>;
  /** Every key, in no order. */
  list(): Promise<KeptFds[]>;
}

export class KeeperFdStore implements FdStore {
  readonly #link: KeeperLink;

  constructor(link: KeeperLink) {
    this.#link = link;
  }

  async put(key: Buffer, fds: readonly number[]): Promise<void> {
    if (fds.length === 0) return this.delete(key);
    checkKey(key);
    if (fds.length > KEEPER_FDS_MAX || !fds.every((fd) => Number.isInteger(fd) && fd >= 0))
      throw new AgentError('invalid_argument', `one to ${KEEPER_FDS_MAX} fds can be kept under a key`, {
        fields: { fds: fds.join(' ') },
      });
    await this.#ask((id) => encodeFdRequest(id, 'put', key, fds.length), fds);
  }

  async get(key: Buffer): Promise<number[]> {
    checkKey(key);
    return this.#ask((id) => encodeFdRequest(id, 'get', key));
  }

  async delete(key: Buffer): Promise<void> {
    checkKey(key);
    await this.#ask((id) => encodeFdRequest(id, 'delete', key));
  }

  list(): Promise<KeptFds[]> {
    const kept: KeptFds[] = [];
    return new Promise((resolve, reject) => {
      const answer = (message: Answer) => {
        if (message.type === 'fds') kept.push({ key: message.key, count: message.count });
        else if (message.result === 'ok') resolve(kept);
        else reject(refusal(message.result));
        return message.type === 'result';
      };
      this.#link.request({ answer, fail: reject }, encodeFdList);
    });
  }

  #ask(encode: (id: number) => Buffer, fds?: readonly number[]): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const answer: Asker['answer'] = (message, received) => {
        if (message.type === 'fds' || message.result === 'ok' || message.result === 'unknown') resolve(received);
        else reject(refusal(message.result));
        return true;
      };
      this.#link.request({ takesFds: fds === undefined, answer, fail: reject }, encode, fds);
    });
  }
}

function checkKey(key: Buffer): void {
  if (key.length !== KEEPER_KEY_BYTES)
    throw new AgentError('invalid_argument', `a key of the fd store has ${KEEPER_KEY_BYTES} bytes`, {
      fields: { bytes: key.length },
    });
}

function refusal(result: KeeperResult): AgentError {
  if (result === 'full') return new AgentError('resource_exhausted', 'berth-init has no room for more fds');
  return new AgentError('internal', `berth-init refused to keep fds: ${result}`);
}
