// One process in a container, addressed as Kata does by (container id, exec id): its streams, signals and exit status. For who plays a Kata
// host, as container.ts; programs have client/api/process.ts.

import { signalNumber } from '../signals.ts';
import type { AgentCalls } from './agent-client.ts';
import { OutputStream } from './output-stream.ts';
import { StdinWriter } from './stdin-writer.ts';

export interface ProcessAddress {
  containerId: string;
  /** Empty for the init process of the container. */
  execId: string;
}

export interface Collected {
  stdout: Buffer;
  stderr: Buffer;
  exitCode: number;
}

export class GuestProcess {
  readonly address: ProcessAddress;
  readonly tty: boolean;
  readonly stdin: StdinWriter;
  readonly stdout: OutputStream;
  /** Ends at once for a terminal, whose one stream is stdout. */
  readonly stderr: OutputStream;
  private readonly calls: AgentCalls;
  private exit: Promise<number> | undefined;

  constructor(calls: AgentCalls, address: ProcessAddress, tty: boolean) {
    this.calls = calls;
    this.address = address;
    this.tty = tty;
    this.stdin = new StdinWriter({
      write: async (data) => void (await calls.writeStdin({ ...address, data })),
      close: async () => void (await calls.closeStdin(address)),
    });
    this.stdout = new OutputStream(async (len) => (await calls.readStdout({ ...address, len })).data);
    this.stderr = tty
      ? OutputStream.empty()
      : new OutputStream(async (len) => (await calls.readStderr({ ...address, len })).data);
  }

  /** Sends a signal by name or number; a process that is already gone is no error to Kata. */
  async signal(signal: string | number): Promise<void> {
    const number = typeof signal === 'number' ? signal : signalNumber(signal);
    await this.calls.signalProcess({ ...this.address, signal: number });
  }

  /** @throws AgentError unavailable when the process has no terminal */
  async resize(rows: number, columns: number): Promise<void> {
    await this.calls.ttyWinResize({ ...this.address, row: rows, column: columns });
  }

  /**
   * The exit status: the code, or 128 + signal. Waits for the end of both streams first, dropping what nobody reads,
   * because Kata's WaitProcess closes them. The status can be had once from the agent, and as often as liked from here.
   */
  wait(): Promise<number> {
    this.exit ??= this.drainAndWait();
    return this.exit;
  }

  /** Everything the process writes, and how it ended. `limit` bounds each stream, in bytes; the rest is dropped. */
  async collect(limit = 64 * 1024 * 1024): Promise<Collected> {
    const [stdout, stderr] = await Promise.all([gather(this.stdout, limit), gather(this.stderr, limit)]);
    return { stdout, stderr, exitCode: await this.wait() };
  }

  private async drainAndWait(): Promise<number> {
    await Promise.all([this.stdout.drained(), this.stderr.drained()]);
    const { status } = await this.calls.waitProcess(this.address);
    return status;
  }
}

async function gather(stream: AsyncIterable<Uint8Array>, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let room = limit;
  for await (const chunk of stream) {
    // Reading goes on beyond the limit: a process that is held back on one stream may never end the other.
    if (room > 0) chunks.push(chunk.subarray(0, room));
    room -= chunk.length;
  }
  return Buffer.concat(chunks);
}
