// One client attached to one process: its readers of the output, its credit, its share of stdin, and what it is told. Protocols put it
// into messages.
// INVARIANTS: of output no more leaves than the client has given credit for and has had a turn for, and nothing waits here in between;
// what happens to the process is told at once, not behind output that was not sent yet.
import { AgentError } from '../errors.ts';
import type { AttachHost, StreamName } from './attach-event.ts';
import { AttachedOutput, type OutputWanted } from './attached-output.ts';
import { AttachedStdin } from './attached-stdin.ts';
import type { ProcessEntry } from './process-entry.ts';

export interface AttachOptions {
  readonly stdout?: OutputWanted | undefined;
  readonly stderr?: OutputWanted | undefined;
  /** After the exit, until the end of output is told though somebody may still hold it; undefined for never. */
  readonly drainMs?: number | undefined;
}

export class Attachment {
  readonly #entry: ProcessEntry;
  readonly #host: AttachHost;
  readonly #outputs = new Map<StreamName, AttachedOutput>();
  readonly #stdin: AttachedStdin;
  readonly #over = new AbortController();

  /** @throws out_of_range, resource_exhausted, invalid_argument: nothing is left then */
  constructor(entry: ProcessEntry, options: AttachOptions, host: AttachHost) {
    this.#entry = entry;
    this.#host = host;
    const { stdio } = entry.process;
    const signal = AbortSignal.any([host.signal, this.#over.signal]);
    const inner = { ...host, signal };
    this.#stdin = new AttachedStdin(stdio.stdin, inner);
    try {
      for (const stream of ['stdout', 'stderr'] as const) {
        const wanted = options[stream];
        if (wanted === undefined) continue;
        if (stream === 'stderr' && stdio.terminalFd !== undefined) {
          throw new AgentError('invalid_argument', 'a terminal has one output: stdout', { fields: { field: 'open.stderr' } });
        }
        this.#outputs.set(stream, new AttachedOutput(stream, stdio[stream], wanted, options.drainMs, inner));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Resolves when there is nothing more to tell: the process has ended and what is read of it is at its end. @throws the signal's reason */
  async run(): Promise<void> {
    const leave = this.#entry.attach();
    try {
      const exit = this.#entry.ended.then(async (ended) => {
        if (this.#over.signal.aborted) return;
        const told = this.#host.send({ kind: 'exit', ended });
        for (const output of this.#outputs.values()) output.processEnded();
        await told;
      });
      await Promise.all([exit, ...[...this.#outputs.values()].map((output) => output.run())]);
    } finally {
      leave();
      this.close();
    }
  }

  /** @throws failed_precondition for a stream that is not read */
  credit(stream: StreamName, bytes: number): void {
    this.#output(stream).credit(bytes);
  }

  /** @throws failed_precondition; out_of_range beyond what was sent */
  acknowledge(stream: StreamName, offset: bigint): void {
    this.#output(stream).acknowledge(offset);
  }

  /** @throws resource_exhausted over the window */
  write(offset: bigint, data: Uint8Array): void {
    this.#stdin.write(offset, data);
  }

  closeStdin(offset: bigint): void {
    this.#stdin.close(offset);
  }

  /** @throws failed_precondition without a terminal */
  resize(rows: number, columns: number): void {
    this.#entry.resize(rows, columns);
  }

  /** The client will send nothing more; it is still told everything. */
  finish(): void {
    for (const output of this.#outputs.values()) output.finish();
  }

  /** Leaves; the process goes on. Idempotent. */
  close(): void {
    this.#over.abort(new AgentError('cancelled', 'detached'));
    this.#stdin.leave();
    for (const output of this.#outputs.values()) output.leave();
  }

  #output(stream: StreamName): AttachedOutput {
    const output = this.#outputs.get(stream);
    if (output !== undefined) return output;
    throw new AgentError('failed_precondition', `${stream} is not read on this call`, { fields: { field: 'stream' } });
  }
}
