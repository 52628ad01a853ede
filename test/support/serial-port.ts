// What a hypervisor does with a serial port, without one: the guest's end is a terminal, the host's end a Unix socket that takes one connection
// at a time and lets others wait, as QEMU's does.
import { createServer, type Server, type Socket } from 'node:net';
import { socketFromFd } from '../../agent/transport/pipe-handle.ts';
import { native } from '../../native/index.ts';

export class SerialPort implements AsyncDisposable {
  /** For the agent: `/dev/pts/N`. */
  readonly device: string;
  /** For a client. */
  readonly path: string;
  readonly #server: Server;
  readonly #line: Socket;
  readonly #slave: number;
  readonly #holders = new Set<Socket>();
  readonly #waiting: Socket[] = [];
  #toLose = 0;
  /** All that connect are on the line at once, each hearing everything: not what QEMU does, but a multiplexer may. */
  shared = false;

  private constructor(path: string, server: Server) {
    const { master, slave, path: device } = native().openPty();
    native().makeRaw(slave);
    this.path = path;
    this.device = device;
    this.#server = server;
    this.#slave = slave;
    this.#line = socketFromFd(master);
    this.#line.on('error', () => {});
    // Where nobody is there, what the guest says is dropped, as by QEMU.
    this.#line.on('data', (chunk) => {
      for (const holder of this.#holders) holder.write(chunk);
    });
  }

  static async open(path: string): Promise<SerialPort> {
    const server = createServer({ pauseOnConnect: true });
    const port = new SerialPort(path, server);
    server.on('connection', (socket) => port.#admit(socket));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return port;
  }

  /** Puts bytes on the line as if the client of now, or one before it, had sent them. */
  inject(bytes: Uint8Array): void {
    this.#line.write(bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of [...this.#holders, ...this.#waiting]) socket.destroy();
    this.#server.close();
    this.#line.destroy();
    native().close(this.#slave);
  }

  /** So many of the next bytes from the client do not arrive. */
  loseNext(bytes: number): void {
    this.#toLose = bytes;
  }

  #admit(socket: Socket): void {
    socket.on('error', () => {});
    if (this.#holders.size > 0 && !this.shared) {
      this.#waiting.push(socket);
      return;
    }
    this.#holders.add(socket);
    socket.on('data', (chunk: Buffer) => {
      const lost = Math.min(this.#toLose, chunk.length);
      this.#toLose -= lost;
      if (this.#line.write(chunk.subarray(lost))) return;
      socket.pause();
      this.#line.once('drain', () => socket.resume());
    });
    socket.once('close', () => {
      this.#holders.delete(socket);
      const next = this.#holders.size === 0 ? this.#waiting.shift() : undefined;
      if (next !== undefined) this.#admit(next);
    });
    socket.resume();
  }
}
