// A page of memory in which an agent writes down, as it happens, what the next one must know of a process's streams and the kernel does not
// keep by itself. Each note is one pwrite(2) within the page: an agent that is killed has made it or has not, never half of it.
import { native } from '../../../native/index.ts';
import { AgentError } from '../../errors.ts';

/** Of a stream: numbers of 64 bits. */
const SLOT_NUMBERS = 8;
const NUMBER_BYTES = 8;
const SLOT_BYTES = SLOT_NUMBERS * NUMBER_BYTES;
/** Behind the slots: the length of the description, and the description. */
const DESCRIPTION_AT = 256n;
const DESCRIPTION_MAX = 3584;

const LEDGER_SLOTS = { stdin: 0, stdout: 1, stderr: 2 } as const;

/** The notes on one stream. They are 0 at first. */
export interface Slot {
  /** `count` numbers from the one at `at`. */
  read(at: number, count: number): bigint[];
  /** All of them at once; nothing once the ledger is closed. */
  write(at: number, numbers: readonly bigint[]): void;
}

export class Ledger {
  #fd: number | undefined;

  /** Owns the file: a new one, or an earlier agent's. */
  constructor(fd = native().memfdCreate('ledger')) {
    this.#fd = fd;
  }

  /** @throws once closed */
  get fd(): number {
    if (this.#fd === undefined) throw new Error('the ledger is closed');
    return this.#fd;
  }

  slot(stream: keyof typeof LEDGER_SLOTS): Slot {
    const base = BigInt(LEDGER_SLOTS[stream] * SLOT_BYTES);
    const notes = Buffer.alloc(SLOT_BYTES);
    return {
      read: (at, count) => {
        // Beyond the end of the file all is 0.
        notes.fill(0);
        native().readAt(this.fd, notes.subarray(0, count * NUMBER_BYTES), base + BigInt(at * NUMBER_BYTES));
        return Array.from({ length: count }, (_, i) => notes.readBigUInt64LE(i * NUMBER_BYTES));
      },
      write: (at, numbers) => {
        if (this.#fd === undefined) return;
        for (const [i, number] of numbers.entries()) notes.writeBigUInt64LE(number, i * NUMBER_BYTES);
        native().writeAt(this.#fd, notes.subarray(0, numbers.length * NUMBER_BYTES), base + BigInt(at * NUMBER_BYTES));
      },
    };
  }

  /** What the streams are, as JSON; written once, before anything else. */
  describe(description: object): void {
    const text = Buffer.from(JSON.stringify(description));
    if (text.length > DESCRIPTION_MAX) throw new RangeError(`a description of ${text.length} bytes`);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    native().writeAt(this.fd, Buffer.concat([length, text]), DESCRIPTION_AT);
  }

  /** @throws internal when it is none */
  description(): unknown {
    const read = Buffer.alloc(4 + DESCRIPTION_MAX);
    const got = native().readAt(this.fd, read, DESCRIPTION_AT);
    try {
      return JSON.parse(read.subarray(4, Math.min(got, 4 + read.readUInt32LE(0))).toString());
    } catch (cause) {
      throw new AgentError('internal', 'the description of kept streams cannot be read', { cause });
    }
  }

  close(): void {
    if (this.#fd !== undefined) native().close(this.#fd);
    this.#fd = undefined;
  }
}
