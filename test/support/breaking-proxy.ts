// Stands between a client and an agent and breaks their connections: after so many bytes, or all at once.
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class BreakingProxy implements AsyncDisposable {
  /** Bytes that a connection may carry to the client before it breaks; asked for each connection. Undefined for any number, on those there are as well. */
  breakAfter: (() => number) | undefined;
  /** Connections broken after their bytes. */
  breaks = 0;
  /** Bytes that have reached the client. */
  carried = 0;
  readonly address: string;
  readonly #folder: string;
  readonly #dial: () => Promise<net.Socket>;
  readonly #sockets = new Set<net.Socket>();
  readonly #server = net.createServer((socket) => void this.#relay(socket));

  private constructor(folder: string, dial: () => Promise<net.Socket>) {
    this.#folder = folder;
    this.#dial = dial;
    this.address = `unix://${join(folder, 'p')}`;
  }

  static async start(dial: () => Promise<net.Socket>): Promise<BreakingProxy> {
    const proxy = new BreakingProxy(await mkdtemp(join(tmpdir(), 'berth-proxy-')), dial);
    await new Promise<void>((resolve) => proxy.#server.listen(join(proxy.#folder, 'p'), resolve));
    return proxy;
  }

  /** Breaks every connection there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.cut();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #relay(client: net.Socket): Promise<void> {
    client.on('error', () => {});
    client.pause();
    this.#sockets.add(client);
    let upstream: net.Socket;
    try {
      upstream = await this.#dial();
    } catch {
      client.destroy();
      return;
    }
    this.#sockets.add(upstream);
    for (const end of [client, upstream]) {
      end.on('error', () => {});
      end.on('close', () => {
        this.#sockets.delete(end);
        client.destroy();
        upstream.destroy();
      });
    }
    if (client.destroyed) upstream.destroy();
    let left = this.breakAfter?.() ?? Number.POSITIVE_INFINITY;
    client.pipe(upstream);
    upstream.on('data', (chunk: Buffer) => {
      // Whoever has had enough breaks has had enough of those of the connections there are, too.
      if (this.breakAfter === undefined) left = Number.POSITIVE_INFINITY;
      const passed = chunk.subarray(0, left);
      left -= passed.length;
      this.carried += passed.length;
      const more = client.write(passed);
      if (left <= 0) {
        this.breaks++;
        client.destroySoon();
        upstream.destroy();
      } else if (!more) {
        upstream.pause();
        client.once('drain', () => upstream.resume());
      }
    });
  }
}
