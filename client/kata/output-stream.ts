// One output stream of a guest process as an async iterable: a loop of ReadStdout or ReadStderr calls, one in flight, so
// that the reader's pace holds the process back (Kata's only flow control).

/** One read; an empty answer is the end of the stream. */
export type ReadChunk = (maxBytes: number) => Promise<Uint8Array>;

/** The most one call asks for: the agent's log per stream, well under the 4 MiB of a ttrpc message. */
const READ_BYTES = 256 * 1024;

export class OutputStream implements AsyncIterable<Uint8Array> {
  /** Bytes handed out or discarded so far. */
  bytesRead = 0;
  private readonly read: ReadChunk;
  private state: 'fresh' | 'reading' | 'left' | 'ended' = 'fresh';
  private finished: Promise<void> | undefined;

  constructor(read: ReadChunk) {
    this.read = read;
  }

  /** A stream that has no bytes, such as stderr of a terminal. */
  static empty(): OutputStream {
    return new OutputStream(() => Promise.resolve(new Uint8Array(0)));
  }

  /** May be iterated once; a second reader would get every other chunk. @throws TypeError */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.state !== 'fresh') throw new TypeError('this output stream is already being read');
    this.state = 'reading';
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    return this.chunks(resolve);
  }

  /**
   * Resolves when the stream has ended, dropping what nobody reads. WaitProcess throws unread output away, so it is
   * called only after this.
   */
  async drained(): Promise<void> {
    if (this.state === 'reading') await this.finished;
    if (this.state === 'ended') return;
    this.state = 'reading';
    this.finished = this.discard();
    await this.finished;
  }

  private async *chunks(leave: () => void): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (let chunk = await this.next(); chunk !== undefined; chunk = await this.next()) yield chunk;
    } finally {
      // A reader that breaks off leaves the rest to drained().
      if (this.state === 'reading') this.state = 'left';
      leave();
    }
  }

  private async discard(): Promise<void> {
    while ((await this.next()) !== undefined);
  }

  private async next(): Promise<Uint8Array | undefined> {
    try {
      const chunk = await this.read(READ_BYTES);
      if (chunk.length > 0) {
        this.bytesRead += chunk.length;
        return chunk;
      }
    } catch (error) {
      this.state = 'ended';
      throw error;
    }
    this.state = 'ended';
    return undefined;
  }
}
