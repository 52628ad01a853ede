// QEMU's machine protocol (QEMU manual, "QMP"): JSON lines over a Unix socket, answers in the order of the commands, and events.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { AgentError } from '../../agent/errors.ts';
import { LineCutter } from './console.ts';

/** What a command may take; QEMU answers at once, and tells by an event what takes longer. */
const ANSWER_MS = 30_000;
/** Events kept for somebody who asks later. */
const MAX_EVENTS = 256;

interface Answer {
  return?: unknown;
  error?: { class: string; desc: string };
}

export interface QmpEvent {
  event: string;
  data?: Record<string, unknown>;
}

interface Pending {
  command: string;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class QmpClient implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #pending: Pending[] = [];
  readonly #events: QmpEvent[] = [];
  readonly #watchers = new Set<() => void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lines = new LineCutter((line) => this.#take(line));
    socket.on('data', (chunk: Buffer) => lines.push(chunk));
    const lost = () => this.#fail(new AgentError('unavailable', 'QEMU closed its control socket'));
    socket.on('error', lost).on('close', lost);
  }

  /** @throws unavailable when nobody listens at `path` */
  static async connect(path: string): Promise<QmpClient> {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
    } catch (error) {
      throw new AgentError('unavailable', `no QEMU listens at ${path}`, { cause: error });
    }
    const client = new QmpClient(socket);
    await client.execute('qmp_capabilities');
    return client;
  }

  /** @throws internal with QEMU's reason; deadline_exceeded; unavailable when QEMU ends */
  async execute<T = unknown>(command: string, args?: object): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.push({ command, resolve, reject });
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    return (await within(promise, ANSWER_MS, `QEMU's answer to ${command}`)) as T;
  }

  /** The first event of this kind since the connection that fits; each is given once. */
  async event(name: string, fits: (data: Record<string, unknown>) => boolean, timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      const at = this.#events.findIndex(({ event, data = {} }) => event === name && fits(data));
      if (at < 0) return;
      this.#events.splice(at, 1);
      resolve();
    };
    this.#watchers.add(look);
    look();
    await within(promise, timeoutMs, `QEMU's event ${name}`).finally(() => this.#watchers.delete(look));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return;
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  #take(line: string): void {
    if (line.trim() === '') return;
    const message = JSON.parse(line) as Answer & Partial<QmpEvent>;
    if (message.event !== undefined) {
      this.#events.push({ event: message.event, data: message.data });
      if (this.#events.length > MAX_EVENTS) this.#events.shift();
      for (const watcher of [...this.#watchers]) watcher();
    } else if (message.error !== undefined) {
      const asked = this.#pending.shift();
      asked?.reject(new AgentError('internal', `QEMU refuses ${asked.command}: ${message.error.desc}`));
    } else if ('return' in message) {
      this.#pending.shift()?.resolve(message.return);
    }
    // What is left is the greeting.
  }

  #fail(error: unknown): void {
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }
}

async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new AgentError('deadline_exceeded', `${what} did not come within ${ms} ms`)), ms);
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
