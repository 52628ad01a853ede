// Compiles the preloaded stand-in for AF_VSOCK, and starts Nodes under it.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const SOURCE = new URL('../../fixtures/vsock-over-tcp.c', import.meta.url).pathname;
const DOOR = new URL('../../../native/index.ts', import.meta.url).href;

/** @returns the library's path, in `folder` */
export function compilePreload(folder: string): string {
  const library = join(folder, 'vsock-over-tcp.so');
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-o', library, SOURCE, '-ldl']);
  return library;
}

/** Programs of the test under way. */
const running = new Set<ChildProcess>();

// A test that fails does not come so far as to end its program, which would keep mocha.
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
});

/** A Node under the stand-in, running `script` with the addon at `addon`; its stdout comes line by line. */
export class VsockNode {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(library: string, script: string, options: { limits?: string; env?: Record<string, string> } = {}) {
    const preload = [process.env['LD_PRELOAD'], library].filter(Boolean).join(':');
    const module = `const addon = (await import(${JSON.stringify(DOOR)})).native();\n${script}`;
    const command = `${options.limits ?? ''} exec env LD_PRELOAD="${preload}" "$0" --input-type=module -e "$1"`;
    this.#child = spawn('/bin/sh', ['-c', command, process.execPath, module], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...options.env },
      cwd: tmpdir(),
    });
    running.add(this.#child);
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** The next line it prints, parsed as JSON. */
  async next<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the program ended');
    return JSON.parse(value as string) as T;
  }

  write(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** Closes its stdin and waits for its exit code. */
  async end(): Promise<number | null> {
    const ended = this.#child.exitCode === null ? once(this.#child, 'exit') : undefined;
    this.#child.stdin!.end();
    await ended;
    return this.#child.exitCode;
  }
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return port;
}

/**
 * Connects as the guest or host with this CID, and gives all the peer says until it closes.
 * @param onConnect called once the kernel has put the connection into the listener's queue
 */
export async function dialAs(cid: number, port: number, onConnect: () => void = () => {}): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${cid}` });
  socket.on('connect', onConnect);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve)); // a reset is an end too
  return text;
}
