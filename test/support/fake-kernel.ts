// A kernel that tells of devices what a test says: an addon's four verbs, and the Uevents above them.
import { type UeventDoor, Uevents } from '../../agent/guest/uevents/uevents.ts';

export interface FakeKernel {
  readonly uevents: Uevents;
  /** Sockets that are open now. */
  readonly sockets: () => number;
  say(action: string, path: string, subsystem: string): void;
  sayBytes(message: Uint8Array): void;
  /** Loses messages: the socket's buffer ran over. */
  lose(): void;
}

export function fakeKernel(): FakeKernel {
  const queue: (Buffer | 'lost')[] = [];
  const readers = new Map<number, () => void>();
  const open = new Set<number>();
  let nextFd = 100;
  const door: UeventDoor = {
    ueventOpen: () => {
      open.add(nextFd);
      return nextFd++;
    },
    ueventReceive: () => {
      const next = queue.shift();
      if (next === 'lost') throw Object.assign(new Error('ENOBUFS'), { code: 'ENOBUFS' });
      return next;
    },
    watchReadable: (fd, onReadable) => {
      readers.set(fd, onReadable);
      const nothing = () => {};
      return { close: () => readers.delete(fd), pause: nothing, resume: nothing, ref: nothing, unref: nothing };
    },
    close: (fd) => {
      if (readers.has(fd)) throw new Error(`fd ${fd} is closed while it is watched`);
      queue.length = 0;
      open.delete(fd);
    },
  };
  const push = (message: Buffer | 'lost') => {
    // As a socket: who is not open hears nothing.
    if (readers.size > 0) queue.push(message);
    for (const read of [...readers.values()]) read();
  };
  return {
    uevents: new Uevents(() => door),
    sockets: () => open.size,
    say: (action, path, subsystem) =>
      push(Buffer.from(`${action}@${path}\0ACTION=${action}\0DEVPATH=${path}\0SUBSYSTEM=${subsystem}\0SEQNUM=7\0`)),
    sayBytes: (message) => push(Buffer.from(message)),
    lose: () => push('lost'),
  };
}
