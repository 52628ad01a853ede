// Writing to stdout and stderr with real back-pressure. process.stdout writes to a pipe synchronously, so a stalled reader
// would stop signals too; here the write waits on a thread and the event loop goes on.
import { write } from 'node:fs';
import { promisify } from 'node:util';
import { isErrno } from '../../agent/errors.ts';

const writeFd = promisify(write);

/** How long to wait for room when someone else made the descriptor non-blocking. */
const RETRY_MS = 5;

/** @throws EPIPE when the reader has gone */
export async function writeAll(fd: number, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length; ) {
    try {
      at += (await writeFd(fd, data, at)).bytesWritten;
    } catch (error) {
      // A write that waits for room in a socket is told of the reader's end in this way.
      if (isErrno(error, 'ECONNRESET'))
        throw Object.assign(new Error('EPIPE: the reader has gone', { cause: error }), { code: 'EPIPE' });
      if (!isErrno(error, 'EAGAIN')) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

export function writeText(fd: number, text: string): Promise<void> {
  return writeAll(fd, Buffer.from(text));
}

/** Text from a guest must not drive the terminal. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
