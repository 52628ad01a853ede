// Talks to berth-init by single datagrams, well-formed or not.
import { setImmediate as turn } from 'node:timers/promises';
import { isErrno } from '../../../agent/errors.ts';
import { decodeMessage, type KeeperMessage } from '../../../agent/keeper/wire.ts';
import { native } from '../../../native/index.ts';

export class RawKeeper {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Sends one datagram; false when the socket has no room. */
  trySend(message: Uint8Array, fds: readonly number[] = []): boolean {
    try {
      native().sendFds(this.fd, message, fds);
      return true;
    } catch (error) {
      if (isErrno(error, 'EAGAIN')) return false;
      throw error;
    }
  }

  /** The next message, or undefined when none comes within the time. */
  async receive(withinMs = 2000): Promise<KeeperMessage | undefined> {
    for (const end = performance.now() + withinMs; performance.now() < end; ) {
      const message = this.tryReceive();
      if (message !== undefined) return message;
      await turn();
    }
    return undefined;
  }

  tryReceive(): KeeperMessage | undefined {
    try {
      const { data, fds } = native().recvFds(this.fd, 256);
      for (const fd of fds) native().close(fd);
      return decodeMessage(data);
    } catch (error) {
      if (isErrno(error, 'EAGAIN')) return undefined;
      throw error;
    }
  }

  /** Reads what there is; how many messages that were. */
  discard(): number {
    let count = 0;
    while (this.tryReceive() !== undefined) count++;
    return count;
  }

  /** The next result, other messages skipped. */
  async result(): Promise<KeeperMessage & { type: 'result' }> {
    for (;;) {
      const message = await this.receive();
      if (message === undefined) throw new Error('berth-init did not answer');
      if (message.type === 'result') return message;
    }
  }
}

export interface HeaderFields {
  version?: number;
  type: number;
  id?: number;
  length?: number;
}

/** A message of a given type and length, zeroes after the header. */
export function rawMessage({ version = 1, type, id = 0, length = 8 }: HeaderFields): Buffer {
  const message = Buffer.alloc(length);
  message.writeUInt16LE(version, 0);
  message.writeUInt16LE(type, 2);
  message.writeUInt32LE(id, 4);
  return message;
}
