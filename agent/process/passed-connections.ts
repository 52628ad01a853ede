// Connections on their way to a process that will have them as its standard streams: until somebody claims them, whoever gives up closes them.
import { native } from '../../native/index.ts';

/** Connected, non-blocking fds; a stream without one is /dev/null. */
export interface PassedFds {
  readonly stdin?: number | undefined;
  readonly stdout?: number | undefined;
  readonly stderr?: number | undefined;
}

export class PassedConnections {
  #fds: PassedFds;

  constructor(fds: PassedFds) {
    this.#fds = fds;
  }

  /** The fds, the caller's from here on. */
  claim(): PassedFds {
    const fds = this.#fds;
    this.#fds = {};
    return fds;
  }

  /** Closes what nobody has claimed. */
  close(): void {
    closePassed(this.claim());
  }
}

export function closePassed({ stdin, stdout, stderr }: PassedFds): void {
  for (const fd of [stdin, stdout, stderr]) if (fd !== undefined) native().close(fd);
}
