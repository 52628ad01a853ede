// The guest's serial console: kept in a file, cut into lines, and the agent's JSON lines among the kernel's text parsed.
import { type FileHandle, open, rename } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { describeError } from '../../agent/errors.ts';

/** The file is moved to NAME.1 at this size, so a chatty guest takes at most twice this. */
const MAX_FILE = 32 << 20;
/** A longer line is given in pieces. */
const MAX_LINE = 64 << 10;
const KEPT_LINES = 200;

export interface ConsoleEvents {
  onLine?: (line: string) => void;
  onLog?: (record: Record<string, unknown>) => void;
}

export interface Console {
  readonly path?: string;
  /** The last lines, oldest first; 200 at most. */
  tail(lines?: number): string[];
  /** When everything was written to the file. */
  readonly done: Promise<void>;
}

/** @param path the file the console is added to; without one it is only cut into lines */
export function followConsole(source: Readable, path: string | undefined, events: ConsoleEvents): Console {
  const kept: string[] = [];
  const take = (line: string) => {
    kept.push(line);
    if (kept.length > KEPT_LINES) kept.shift();
    events.onLine?.(line);
    const record = parseRecord(line);
    if (record !== undefined) events.onLog?.(record);
  };
  const done = copy(source, path, new LineCutter(take), take);
  return { path, tail: (count = KEPT_LINES) => kept.slice(-count), done };
}

async function copy(
  source: Readable,
  path: string | undefined,
  lines: LineCutter,
  complain: (line: string) => void,
): Promise<void> {
  let file: FileHandle | undefined = path === undefined ? undefined : await open(path, 'a', 0o600);
  // A device or a pipe is not moved out of the way.
  const rotates = (await file?.stat())?.isFile() ?? false;
  let size = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    lines.push(chunk);
    try {
      await file?.write(chunk);
      size += chunk.length;
      if (size < MAX_FILE || !rotates) continue;
      await file?.close();
      await rename(path!, `${path}.1`);
      file = await open(path!, 'a', 0o600);
      size = 0;
    } catch (error) {
      // A full disk must not stop the guest: it would block in its next write to the console.
      complain(`berth: the console is no longer written to ${path}: ${describeError(error)}`);
      await file?.close().catch(complain);
      file = undefined;
      size = 0;
    }
  }
  lines.end();
  await file?.close();
}

/** Cuts bytes into lines without their line ends, whatever the pieces they come in. */
export class LineCutter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #emit: (line: string) => void;
  #rest = '';

  constructor(emit: (line: string) => void) {
    this.#emit = emit;
  }

  push(bytes: Buffer): void {
    const parts = (this.#rest + this.#decoder.write(bytes)).split('\n');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) this.#emit(part.replace(/\r+$/, ''));
    while (this.#rest.length > MAX_LINE) {
      this.#emit(this.#rest.slice(0, MAX_LINE));
      this.#rest = this.#rest.slice(MAX_LINE);
    }
  }

  end(): void {
    const last = (this.#rest + this.#decoder.end()).replace(/\r+$/, '');
    if (last !== '') this.#emit(last);
    this.#rest = '';
  }
}

/** A JSON object, or undefined for the kernel's text and for a line that the kernel cut into. */
export function parseRecord(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
