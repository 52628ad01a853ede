// The kernel's messages on devices, for as long as somebody waits for one: an idle agent has no socket and is not woken.
// INVARIANT: the socket is open before a listener is told that it listens, so a device is either there by then or heard of.
import type { Native, Watch } from '../../../native/index.ts';
import { AgentError, isErrno } from '../../errors.ts';
import { parseUevent, type Uevent } from './uevent.ts';

/** Listeners at a time; each is a call that waits. */
const MAX_LISTENERS = 1024;
/** Messages read before other work of the loop has its turn. */
const MAX_BATCH = 256;

export type UeventDoor = Pick<Native, 'ueventOpen' | 'ueventReceive' | 'watchReadable' | 'close'>;
/** Undefined when messages were lost: whatever was waited for may be there. */
export type UeventListener = (event: Uevent | undefined) => void;

export class Uevents {
  readonly #door: () => UeventDoor;
  readonly #listeners = new Set<UeventListener>();
  #socket: { fd: number; watch: Watch } | undefined;

  /** @param door asked for at the first listener */
  constructor(door: () => UeventDoor) {
    this.#door = door;
  }

  /** Listens from now on until what it returns is called. @throws resource_exhausted */
  listen(listener: UeventListener): () => void {
    if (this.#listeners.size >= MAX_LISTENERS) {
      throw new AgentError('resource_exhausted', `more than ${MAX_LISTENERS} calls wait for devices`, {
        fields: { limit: 'device-waits' },
      });
    }
    this.#socket ??= this.#open();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#close();
    };
  }

  #open(): { fd: number; watch: Watch } {
    const door = this.#door();
    const fd = door.ueventOpen();
    try {
      return { fd, watch: door.watchReadable(fd, () => this.#read(fd)) };
    } catch (error) {
      door.close(fd);
      throw error;
    }
  }

  #close(): void {
    if (this.#socket === undefined) return;
    this.#socket.watch.close();
    this.#door().close(this.#socket.fd);
    this.#socket = undefined;
  }

  #read(fd: number): void {
    for (let messages = 0; messages < MAX_BATCH && this.#socket?.fd === fd; messages++) {
      const event = this.#receive(fd);
      if (event === 'none') return;
      if (event !== 'unknown') for (const listener of [...this.#listeners]) listener(event);
    }
  }

  #receive(fd: number): Uevent | undefined | 'none' | 'unknown' {
    try {
      const message = this.#door().ueventReceive(fd);
      if (message === undefined) return 'none';
      return parseUevent(message) ?? 'unknown';
    } catch (error) {
      if (isErrno(error, 'ENOBUFS', 'EMSGSIZE')) return undefined;
      throw error;
    }
  }
}
