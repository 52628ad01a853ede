// berth.v1.Tunnels as a test speaks it: messages as they are. What was sent and received is counted, nothing is hidden.
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { method, openStream, type TypedStream } from '../../client/rpc/typed.ts';

const v1 = berth.v1;
const OPEN = method(v1.TunnelRequest, v1.TunnelResponse);

export type Target = berth.v1.TunnelRequest.Target.$Properties;

/** One Open call. Gives credit as it reads, unless it is told to stop. */
export class TestTunnel {
  readonly stream: TypedStream<berth.v1.TunnelRequest.$Properties, berth.v1.TunnelResponse>;
  readonly chunks: Buffer[] = [];
  received = 0;
  /** What may still be sent. */
  credit = 0;
  connected = false;
  ended = false;
  reset: string | undefined;
  /** Resolves when the agent ends the call. */
  readonly finished: Promise<void>;
  #generous = true;

  constructor(channel: RpcChannel, target: Target) {
    this.stream = openStream(channel, { service: 'berth.v1.Tunnels', method: 'Open' }, OPEN);
    void this.stream.send({ target }).catch(() => {});
    this.finished = this.#read();
    this.finished.catch(() => {});
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  /** No more credit from now on. */
  stopReading(): void {
    this.#generous = false;
  }

  /** As far as there is credit; waits for more. */
  async write(data: Buffer): Promise<void> {
    for (let at = 0; at < data.length; ) {
      await this.until(() => this.credit > 0, 'there is credit');
      const piece = data.subarray(at, at + Math.min(this.credit, 64 * 1024));
      at += piece.length;
      this.credit -= piece.length;
      await this.stream.send({ data: piece });
    }
  }

  end(): Promise<void> {
    return this.stream.send({ end: true });
  }

  async until(condition: () => boolean, what: string, timeoutMs = 20_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`did not happen within ${timeoutMs} ms: ${what}`);
      await sleep(2);
    }
  }

  async #read(): Promise<void> {
    for await (const { connected, data, end, reset, credit, message } of this.stream) {
      if (connected) {
        this.connected = true;
        this.credit += connected.credit ?? 0;
      }
      if (credit) this.credit += credit;
      if (end) this.ended = true;
      if (reset) this.reset = reset;
      if (message !== 'data') continue;
      if (this.ended || this.reset !== undefined) throw new Error('data after the end');
      this.chunks.push(Buffer.from(data!));
      this.received += data!.length;
      if (this.#generous) void this.stream.send({ credit: data!.length }).catch(() => {});
    }
  }
}
