// Replays a sequence over a raw socket: the bytes of its dump go out as they are, and what comes back is read by the tests' own decoder.
import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { decode } from '../../support/wire/decode.ts';
import { expand } from '../runner/expand.ts';
import { mismatches } from '../runner/match.ts';
import { RPCS } from '../runner/target.ts';
import type { Arrival, Exchange, Sequence } from './exchange.ts';
import { type Received, takeResponses } from './frames.ts';

/** The longest the agent may take for any one call under emulation. */
const ANSWER_MS = 30_000;
const UNANSWERED_MS = 150;

/** @param frames of the dump, one for each call of the sequence @throws with the step at which something did not fit */
export async function replay(socket: net.Socket, { steps }: Sequence, frames: readonly Buffer[]): Promise<void> {
  const answers = new Answers(socket);
  const waiting = new Map<string, { streamId: number; call: string }>();
  let sent = 0;
  for (const [at, step] of steps.entries()) {
    try {
      if ('unanswered' in step) {
        await sleep(UNANSWERED_MS);
        for (const name of step.unanswered) {
          if (answers.has(waiting.get(name)!.streamId)) throw new Error(`${name} has its answer already`);
        }
      } else if ('arrives' in step) {
        const { streamId, call } = waiting.get(step.arrives)!;
        check(call, step, await answers.of(streamId));
      } else {
        const streamId = 2 * sent + 1;
        socket.write(frames[sent++]!);
        if (step.later !== undefined) waiting.set(step.later, { streamId, call: step.call });
        else check(step.call, step, await answers.of(streamId));
      }
    } catch (error) {
      throw new Error(
        `step ${at + 1} (${JSON.stringify(step).slice(0, 160)}): ${error instanceof Error ? error.message : error}`,
      );
    }
  }
  if (answers.unasked.length > 0) throw new Error(`answers to streams that were not asked: ${answers.unasked.join()}`);
}

function check(call: string, { reply, code = 0 }: Exchange | Arrival, answer: Received): void {
  if (answer.code !== code) throw new Error(`code ${code} is wanted, found ${answer.code} ${answer.message}`);
  if (code !== 0) return;
  const message = decode(RPCS.get(call)!.response, answer.payload);
  const faults = reply === undefined ? [] : mismatches(message, expand(reply, new Map(), {}));
  if (faults.length > 0) throw new Error(faults.join('; '));
}

class Answers {
  readonly #known = new Map<number, Received>();
  readonly #asked = new Set<number>();
  #wake = () => {};
  #failure: Error | undefined;

  constructor(socket: net.Socket) {
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      try {
        const taken = takeResponses(Buffer.concat([rest, chunk as Buffer]));
        rest = Buffer.from(taken.rest);
        for (const frame of taken.frames) this.#take(frame);
      } catch (error) {
        this.#failure = error as Error;
      }
      this.#wake();
    });
    socket.on('error', (error) => {
      this.#failure ??= error;
      this.#wake();
    });
    socket.on('close', () => {
      this.#failure ??= new Error('the agent has closed the connection');
      this.#wake();
    });
  }

  /** Streams that had an answer nobody waited for. */
  get unasked(): number[] {
    return [...this.#known.keys()].filter((streamId) => !this.#asked.has(streamId));
  }

  has(streamId: number): boolean {
    return this.#known.has(streamId);
  }

  async of(streamId: number): Promise<Received> {
    this.#asked.add(streamId);
    const deadline = performance.now() + ANSWER_MS;
    for (;;) {
      const answer = this.#known.get(streamId);
      if (answer) return answer;
      if (this.#failure) throw this.#failure;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`no answer within ${ANSWER_MS} ms`);
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([woken, sleep(left, undefined, { ref: false })]);
    }
  }

  #take(frame: Received): void {
    if (this.#known.has(frame.streamId)) throw new Error(`stream ${frame.streamId} is answered twice`);
    this.#known.set(frame.streamId, frame);
  }
}
