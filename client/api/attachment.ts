// The call that carries a process's streams, opened again where it broke: from the byte after the last that came, with the input that was not
// accepted. Nothing else of the client knows that there is more than one call.
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import { AgentError, isAgentError } from '../../agent/errors.ts';
import type { TypedStream } from '../rpc/typed.ts';
import { type InputRefusal, ProcessInput } from './input.ts';
import type { Link } from './link.ts';
import { PROCESSES } from './methods.ts';
import { type Holder, type OutputFeed, type OutputPiece, ProcessOutput } from './output.ts';

const { OutputStream } = berth.v1;
const { Reason } = berth.v1.AttachResponse.StdinFailed;

/** A byte of a stream: by its offset, the oldest that is kept, the next to come, or the first that no primary reader has acknowledged. */
export type Position = bigint | 'start' | 'end' | 'acknowledged';

/** How a process is attached to. */
export interface AttachOptions {
  /** Where to begin. Default `start`. An offset alone is one of stdout's, and stderr begins at `start`. */
  readonly from?: Position | { readonly stdout?: Position; readonly stderr?: Position };
  /** What this program has not read is kept for it, and holds the process back. One at a time: the newest takes over. */
  readonly primary?: boolean;
  /** After the exit, end of output is told at the latest after this long, though something left behind still holds it. Default: never. */
  readonly drainMs?: number;
}

type Call = TypedStream<berth.v1.AttachRequest.$Properties, berth.v1.AttachResponse>;
type Name = 'stdout' | 'stderr';

const STREAMS = { stdout: OutputStream.OUTPUT_STREAM_STDOUT, stderr: OutputStream.OUTPUT_STREAM_STDERR } as const;
const REFUSALS: Readonly<Record<number, InputRefusal>> = {
  [Reason.REASON_READER_GONE]: 'reader-gone',
  [Reason.REASON_CLOSED]: 'closed',
  [Reason.REASON_HOLE]: 'hole',
};
/** Between two calls that each broke at once. */
const REOPEN_MS = 20;

export class Attachment {
  readonly stdin: ProcessInput;
  readonly stdout: ProcessOutput;
  readonly stderr: ProcessOutput;
  readonly #link: Link;
  readonly #ref: berth.v1.ProcessRef.$Properties;
  readonly #options: AttachOptions;
  readonly #terminal: boolean;
  readonly #closed = new AbortController();
  /** By the `open` that has not been answered yet. */
  readonly #givenCredit = new Map<ProcessOutput, number>();
  #call: Call | undefined;
  #running = false;

  constructor(link: Link, ref: berth.v1.ProcessRef.$Properties, terminal: boolean, options: AttachOptions) {
    this.#link = link;
    this.#ref = ref;
    this.#options = options;
    this.#terminal = terminal;
    this.stdout = new ProcessOutput(this.#feed('stdout'));
    this.stderr = new ProcessOutput(this.#feed('stderr'));
    if (terminal) this.stderr.push({ kind: 'end', offset: 0n, closed: true, holders: [] });
    this.stdin = new ProcessInput({
      wanted: () => this.open(),
      send: (offset, data) => this.#send({ stdin: { offset, data } }),
      sendEnd: (offset) => this.#send({ stdinClose: { offset } }),
    });
  }

  /** Sees that there is a call. */
  open(): void {
    if (this.#running || this.#closed.signal.aborted) return;
    this.#running = true;
    void this.#run().finally(() => {
      this.#running = false;
    });
  }

  /** Leaves; the process goes on. */
  close(): void {
    this.#closed.abort(new AgentError('cancelled', 'detached'));
    this.#call?.cancel();
    this.stdout.leave();
    this.stderr.leave();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        await this.#runOnce(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!this.#link.mayResume(error)) return this.#fail(error);
        await sleep(REOPEN_MS);
      } finally {
        this.#call = undefined;
      }
    }
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    const call: Call = await this.#link.stream(PROCESSES.attach, { signal });
    await call.send({ open: this.#openMessage() });
    for await (const message of call) {
      if (message.opened) this.#onOpened(message.opened, call);
      else this.#onMessage(message);
    }
  }

  #openMessage(): berth.v1.AttachRequest.Open.$Properties {
    const { drainMs } = this.#options;
    return {
      ref: this.#ref,
      ...(drainMs === undefined ? {} : { drainMs }),
      ...(this.stdout.over ? {} : { stdout: this.#wanted('stdout') }),
      ...(this.stderr.over || this.#terminal ? {} : { stderr: this.#wanted('stderr') }),
      exit: true,
    };
  }

  #from(name: Name): Position {
    const { from = 'start' } = this.#options;
    if (typeof from === 'object') return from[name] ?? 'start';
    return typeof from === 'bigint' && name === 'stderr' ? 'start' : from;
  }

  #wanted(name: Name): berth.v1.AttachRequest.Output.$Properties {
    const { primary = false } = this.#options;
    const output = this[name];
    const begin = output.nextOffset ?? this.#from(name);
    const position = typeof begin === 'bigint' ? { offset: begin } : { [begin]: true };
    const credit = output.openCredit;
    this.#givenCredit.set(output, credit);
    return { ...position, primary, credit };
  }

  #onOpened({ process, stdinWindow }: berth.v1.AttachResponse.Opened.$Properties, call: Call): void {
    for (const name of ['stdout', 'stderr'] as const) {
      const from = this.#from(name);
      const state = process?.[name];
      const offset = from === 'end' ? state?.end : from === 'acknowledged' ? state?.acknowledged : state?.start;
      this[name].startAt(typeof from === 'bigint' ? from : (offset ?? 0n));
    }
    this.#call = call;
    for (const name of ['stdout', 'stderr'] as const) this.#catchUp(name);
    this.stdin.opened(process?.stdin?.accepted ?? 0n, stdinWindow ?? 0);
  }

  /** What was said while the call was being opened had nowhere to go. */
  #catchUp(name: Name): void {
    const output = this[name];
    const given = this.#givenCredit.get(output);
    if (given === undefined || output.over) return;
    this.#givenCredit.delete(output);
    const feed = this.#feed(name);
    if (output.offset !== undefined) feed.acknowledge(output.offset);
    if (output.openCredit > given) feed.credit(output.openCredit - given);
  }

  #onMessage(message: berth.v1.AttachResponse): void {
    const { data, gap, endOfOutput, outputHeld, stdinAccepted, stdinFailed, exit } = message;
    if (data) this.#push(data.stream, { kind: 'data', offset: data.offset ?? 0n, data: Buffer.from(data.data ?? []) });
    else if (gap) this.#push(gap.stream, { kind: 'gap', from: gap.from ?? 0n, to: gap.to ?? 0n });
    else if (endOfOutput) {
      const { stream, offset, closed, holders } = endOfOutput;
      this.#push(stream, { kind: 'end', offset: offset ?? 0n, closed: closed ?? false, holders: toHolders(holders) });
    } else if (outputHeld) this.#output(outputHeld.stream).heldBy(toHolders(outputHeld.holders));
    else if (stdinAccepted) this.stdin.accept(stdinAccepted.offset ?? 0n);
    else if (stdinFailed) this.stdin.refuse(REFUSALS[stdinFailed.reason ?? 0] ?? 'closed', stdinFailed.message ?? '');
    else if (exit) this.stdin.refuse('process-ended', 'the process has ended');
  }

  #push(stream: berth.v1.OutputStream | null | undefined, piece: OutputPiece): void {
    this.#output(stream).push(piece);
  }

  #output(stream: berth.v1.OutputStream | null | undefined): ProcessOutput {
    return stream === STREAMS.stderr ? this.stderr : this.stdout;
  }

  #feed(name: Name): OutputFeed {
    const stream = STREAMS[name];
    return {
      wanted: () => this.open(),
      credit: (bytes) => this.#send({ credit: { stream, bytes } }),
      acknowledge: (offset) => {
        if (this.#options.primary) this.#send({ acknowledge: { stream, offset } });
      },
    };
  }

  /** Lost with its call is fine: the next one begins with what both sides know. */
  #send(message: berth.v1.AttachRequest.$Properties): void {
    this.#call?.send(message).catch(() => {});
  }

  #fail(error: unknown): void {
    const told = isAgentError(error) ? error : new AgentError('internal', 'the attachment broke', { cause: error });
    this.stdout.fail(told);
    this.stderr.fail(told);
    this.stdin.refuse('closed', told.message);
  }
}

function toHolders(holders: readonly berth.v1.AttachResponse.Holder.$Properties[] | null | undefined): Holder[] {
  return (holders ?? []).map(({ pid, command }) => ({ pid: pid ?? 0, command: command ?? '' }));
}
