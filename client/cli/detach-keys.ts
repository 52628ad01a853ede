// The keys that leave a terminal session and let the process go on: docker's notation, `ctrl-p,ctrl-q` unless told.
import { AgentError } from '../../agent/errors.ts';

export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

/**
 * Comma-separated keys: one character, or `ctrl-` and one of `a-z @ [ \ ] ^ _`. Empty for none.
 * @throws AgentError invalid_argument
 */
export function parseDetachKeys(text: string): Buffer {
  if (text === '') return Buffer.alloc(0);
  return Buffer.from(text.split(',').map(keyCode));
}

function keyCode(key: string): number {
  if (/^[\x21-\x7e]$/.test(key)) return key.charCodeAt(0);
  const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 0x40;
  throw new AgentError('invalid_argument', `invalid --detach-keys: '${key}' is no key; give e.g. ${DEFAULT_DETACH_KEYS}`, {
    fields: { field: 'detach-keys' },
  });
}

/** Finds the sequence in what is typed, wherever the chunks end. Keys that may belong to it wait until the next one tells. */
export class DetachKeys {
  readonly #sequence: Buffer;
  #matched = 0;

  constructor(sequence: Buffer) {
    this.#sequence = sequence;
  }

  /** What is to be passed on; nothing after the sequence. */
  take(typed: Uint8Array): { pass: Buffer; detach: boolean } {
    if (this.#sequence.length === 0) return { pass: Buffer.from(typed), detach: false };
    const pass: number[] = [];
    for (const key of typed) {
      // One that does not go on with it may still begin it.
      while (this.#matched > 0 && key !== this.#sequence[this.#matched]) this.#giveUpOne(pass);
      if (key !== this.#sequence[this.#matched]) pass.push(key);
      else if (++this.#matched === this.#sequence.length) return { pass: Buffer.from(pass), detach: true };
    }
    return { pass: Buffer.from(pass), detach: false };
  }

  /** Lets go of the first key that was held; what follows it counts on where it begins the sequence. */
  #giveUpOne(pass: number[]): void {
    const held = this.#sequence.subarray(0, this.#matched);
    for (let shift = 1; shift <= held.length; shift++) {
      if (!held.subarray(shift).equals(held.subarray(0, held.length - shift))) continue;
      pass.push(...held.subarray(0, shift));
      this.#matched = held.length - shift;
      return;
    }
  }
}
