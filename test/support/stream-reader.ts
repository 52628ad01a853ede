// A client with a connection of its own that reads one process's output and counts it: in this program, or as a program of its own that can be
// stopped.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttachOptions } from '../../client/api/attachment.ts';
import { connect, type Guest } from '../../client/api/guest.ts';

export interface StreamReader extends AsyncDisposable {
  /** Bytes that have come so far. */
  readonly bytes: number;
  readonly gaps: number;
}

/** A connection of its own unless one is given. */
export async function readStream(
  address: string,
  processId: string,
  { over, ...options }: AttachOptions & { over?: Guest | undefined } = {},
): Promise<StreamReader> {
  const guest = over ?? (await connect(address, { name: 'reader', patienceMs: PATIENCE_MS }));
  const process = await guest.attach(processId, { from: 'end', ...options });
  const counted = { bytes: 0, gaps: 0 };
  const reading = (async () => {
    for await (const piece of process.stdout.pieces()) {
      if (piece.kind === 'data') counted.bytes += piece.data.length;
      if (piece.kind === 'gap') counted.gaps++;
    }
  })();
  reading.catch(() => {});
  return {
    get bytes() {
      return counted.bytes;
    },
    get gaps() {
      return counted.gaps;
    },
    [Symbol.asyncDispose]: async () => {
      process.detach();
      if (over === undefined) await guest.close();
      await reading.catch(() => {});
    },
  };
}

export interface ReaderProgram extends StreamReader {
  stop(): void;
  goOn(): void;
}

/** Many dial at once, and a guest that is emulated takes its time. */
const PATIENCE_MS = 120_000;
/** Tells how far it is every so often. */
const REPORT_MS = 100;

export interface ReaderProgramOptions {
  /** All readers share one connection. Default: each has its own. */
  readonly oneConnection?: boolean;
  readonly primary?: boolean;
}

/** One reader for each process named, in a program of their own. Resolves when they read. */
export async function spawnReaders(
  address: string,
  processIds: readonly string[],
  { oneConnection = false, primary = false }: ReaderProgramOptions = {},
): Promise<ReaderProgram> {
  const wish = JSON.stringify({ address, processIds, oneConnection, primary });
  const child = spawn(process.execPath, [import.meta.filename, wish], { stdio: ['ignore', 'pipe', 'inherit'] });
  let bytes = 0;
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    bytes = Number(line);
  });
  const failed = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the reader ended: ${signal ?? code}`);
  });
  failed.catch(() => {});
  await Promise.race([once(lines, 'line'), failed]);
  return {
    get bytes() {
      return bytes;
    },
    gaps: 0,
    stop: () => void child.kill('SIGSTOP'),
    goOn: () => void child.kill('SIGCONT'),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Bytes per second of each reader over a while. */
export async function ratesOf(readers: readonly Pick<StreamReader, 'bytes'>[], ms: number): Promise<number[]> {
  const before = readers.map(({ bytes }) => bytes);
  const from = performance.now();
  await sleep(ms);
  const seconds = (performance.now() - from) / 1000;
  return readers.map(({ bytes }, index) => (bytes - before[index]!) / seconds);
}

/** Jain's index of fairness: 1 when all have the same, 1/n when one has all. */
export function fairness(rates: readonly number[]): number {
  const sum = rates.reduce((total, rate) => total + rate, 0);
  const squares = rates.reduce((total, rate) => total + rate * rate, 0);
  return squares === 0 ? 0 : (sum * sum) / (rates.length * squares);
}

if (process.argv[1] === import.meta.filename) {
  const { address, processIds, oneConnection, primary } = JSON.parse(process.argv[2]!);
  const over = oneConnection ? await connect(address, { name: 'bulk', patienceMs: PATIENCE_MS }) : undefined;
  const readers = await Promise.all((processIds as string[]).map((id) => readStream(address, id, { over, primary })));
  // The first line says that every reader's call is open.
  await sleep(REPORT_MS);
  const tell = () => void process.stdout.write(`${readers.reduce((total, { bytes }) => total + bytes, 0)}\n`);
  tell();
  setInterval(tell, REPORT_MS);
}
