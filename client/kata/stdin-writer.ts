// The input of a guest process. A write resolves when the agent has put the bytes into the pipe, so awaiting it is all the
// flow control there is; writes are sent in the order they were made.
import { AgentError } from '../../agent/errors.ts';

export interface StdinCalls {
  write(data: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** What one WriteStdin carries; the pipe takes 64 KiB, and the reply of a larger one waits longer for a slow reader. */
const WRITE_BYTES = 64 * 1024;

export class StdinWriter {
  private readonly calls: StdinCalls;
  private last: Promise<void> = Promise.resolve();
  private ended = false;

  constructor(calls: StdinCalls) {
    this.calls = calls;
  }

  /** @throws AgentError failed_precondition after end(); the agent's own error when the process reads no more */
  write(data: Uint8Array | string): Promise<void> {
    if (this.ended) return Promise.reject(new AgentError('failed_precondition', 'write to stdin after its end'));
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    return this.inOrder(async () => {
      // Never an empty write: Kata takes it as the end.
      for (let at = 0; at < bytes.length; at += WRITE_BYTES) await this.calls.write(bytes.subarray(at, at + WRITE_BYTES));
    });
  }

  /** Closes stdin after the writes made so far; a second call changes nothing. */
  end(): Promise<void> {
    if (this.ended) return this.last;
    this.ended = true;
    return this.inOrder(() => this.calls.close());
  }

  /** Copies `source` to its end, then closes stdin. */
  async pipeFrom(source: AsyncIterable<Uint8Array | string>): Promise<void> {
    for await (const chunk of source) await this.write(chunk);
    await this.end();
  }

  private inOrder(step: () => Promise<void>): Promise<void> {
    const done = this.last.then(step);
    this.last = done.catch(() => {});
    return done;
  }
}
