// berth.v1.Processes as a test speaks it: messages as they are, nothing resumed and nothing hidden.
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { openChannel } from '../../client/rpc/open-channel.ts';
import { method, openStream, type ServiceClient, serviceClient, type TypedStream } from '../../client/rpc/typed.ts';

const v1 = berth.v1;
const METHODS = {
  start: method(v1.StartRequest, v1.StartResponse),
  wait: method(v1.WaitRequest, v1.WaitResponse),
  signal: method(v1.SignalRequest, v1.SignalResponse),
  resize: method(v1.ResizeRequest, v1.ResizeResponse),
  list: method(v1.ListProcessesRequest, v1.ListProcessesResponse),
  inspect: method(v1.InspectProcessRequest, v1.Process),
  forget: method(v1.ForgetRequest, v1.ForgetResponse),
  renew: method(v1.RenewRequest, v1.RenewResponse),
  stats: method(v1.ProcessStatsRequest, v1.ProcessStatsResponse),
};
const ATTACH = method(v1.AttachRequest, v1.AttachResponse);
const CREDIT = 1024 * 1024;

export type Ref = berth.v1.ProcessRef.$Properties;

export interface TestProcesses extends ServiceClient<typeof METHODS>, AsyncDisposable {
  readonly channel: RpcChannel;
  attach(open: berth.v1.AttachRequest.Open.$Properties): Promise<Attached>;
  /** Starts `sh -c script`. */
  sh(containerId: string, script: string, more?: Partial<berth.v1.StartRequest.$Properties>): Promise<Ref>;
  /** All that it writes to stdout until its end, and its exit. */
  collect(ref: Ref): Promise<{ stdout: string; stderr: string; exit: berth.v1.Exit }>;
}

export async function processesAt(address: string): Promise<TestProcesses> {
  const channel = await openChannel(address, { protocol: 'grpc', timeoutMs: 60_000 });
  const calls = serviceClient(channel, 'berth.v1.Processes', METHODS);
  const attach = async (open: berth.v1.AttachRequest.Open.$Properties) => {
    const stream = openStream(channel, { service: 'berth.v1.Processes', method: 'Attach' }, ATTACH);
    await stream.send({ open });
    return new Attached(stream, open);
  };
  return {
    ...calls,
    channel,
    attach,
    sh: async (containerId, script, more = {}) => {
      const { process } = await calls.start({ containerId, program: { args: ['sh', '-c', script] }, ...more });
      return process!.ref!;
    },
    collect: async (ref) => {
      const output = { from: 'start', start: true, primary: true, credit: CREDIT } as const;
      const attached = await attach({ ref, stdout: output, stderr: output });
      await attached.finished;
      return { stdout: attached.text('stdout'), stderr: attached.text('stderr'), exit: attached.exit! };
    },
    [Symbol.asyncDispose]: async () => {
      channel.close();
      await channel.closed;
    },
  };
}

interface Output {
  readonly chunks: Buffer[];
  /** Of the next byte. */
  offset: bigint;
  readonly gaps: [bigint, bigint][];
  ended: berth.v1.AttachResponse.EndOfOutput | undefined;
  held: berth.v1.AttachResponse.OutputHeld | undefined;
}

/** One Attach call. Gives credit and acknowledges as it reads, unless it is told to stop. */
export class Attached {
  readonly stream: TypedStream<berth.v1.AttachRequest.$Properties, berth.v1.AttachResponse>;
  readonly stdout: Output = emptyOutput();
  readonly stderr: Output = emptyOutput();
  opened: berth.v1.AttachResponse.Opened | undefined;
  exit: berth.v1.Exit | undefined;
  accepted = 0n;
  stdinFailed: berth.v1.AttachResponse.StdinFailed | undefined;
  /** When each kind of message came first. */
  readonly cameAt = new Map<string, number>();
  /** Resolves when the agent ends the call. */
  readonly finished: Promise<void>;
  #generous = true;

  constructor(
    stream: TypedStream<berth.v1.AttachRequest.$Properties, berth.v1.AttachResponse>,
    open: berth.v1.AttachRequest.Open.$Properties,
  ) {
    this.stream = stream;
    if (open.stdout?.offset != null) this.stdout.offset = open.stdout.offset;
    this.finished = this.#read();
    this.finished.catch(() => {});
  }

  text(stream: 'stdout' | 'stderr'): string {
    return Buffer.concat(this[stream].chunks).toString();
  }

  /** No more credit from now on. */
  stopReading(): void {
    this.#generous = false;
  }

  async until(condition: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`did not happen within ${timeoutMs} ms: ${what}`);
      await sleep(2);
    }
  }

  cancel(): void {
    this.stream.cancel();
  }

  async #read(): Promise<void> {
    for await (const message of this.stream) {
      for (const kind of ['opened', 'data', 'gap', 'endOfOutput', 'exit', 'outputHeld', 'stdinFailed'] as const) {
        if (message[kind] != null && !this.cameAt.has(kind)) this.cameAt.set(kind, performance.now());
      }
      this.#take(message);
    }
  }

  #take(message: berth.v1.AttachResponse): void {
    if (message.opened) this.opened = message.opened as berth.v1.AttachResponse.Opened;
    if (message.exit) this.exit = message.exit as berth.v1.Exit;
    if (message.stdinAccepted) this.accepted = message.stdinAccepted.offset!;
    if (message.stdinFailed) this.stdinFailed = message.stdinFailed as berth.v1.AttachResponse.StdinFailed;
    if (message.outputHeld) this.#of(message.outputHeld.stream!).held = message.outputHeld as never;
    if (message.endOfOutput) this.#of(message.endOfOutput.stream!).ended = message.endOfOutput as never;
    if (message.gap) {
      const output = this.#of(message.gap.stream!);
      output.gaps.push([message.gap.from!, message.gap.to!]);
      output.offset = message.gap.to!;
    }
    if (message.data) this.#data(message.data.stream!, message.data.offset!, Buffer.from(message.data.data!));
  }

  #data(stream: berth.v1.OutputStream, offset: bigint, data: Buffer): void {
    const output = this.#of(stream);
    if (output.chunks.length > 0 && offset !== output.offset) throw new Error(`byte ${offset} came after ${output.offset}`);
    output.chunks.push(data);
    output.offset = offset + BigInt(data.length);
    if (!this.#generous) return;
    void this.stream.send({ credit: { stream, bytes: data.length } }).catch(() => {});
    void this.stream.send({ acknowledge: { stream, offset: output.offset } }).catch(() => {});
  }

  #of(stream: berth.v1.OutputStream): Output {
    return stream === v1.OutputStream.OUTPUT_STREAM_STDERR ? this.stderr : this.stdout;
  }
}

function emptyOutput(): Output {
  return { chunks: [], offset: 0n, gaps: [], ended: undefined, held: undefined };
}
