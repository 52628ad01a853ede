// What streams must be over the lives of several agents: who writes and reads at both ends, and a log of figures that never dies.
import assert from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Stdio } from '../../../../agent/process/stdio.ts';
import type { LogReader } from '../../../../agent/process/stream/log-reader.ts';
import type { OutputLog } from '../../../../agent/process/stream/output-log.ts';
import type { Pulled } from '../../../../agent/process/stream/pulled-output.ts';
import { pattern, type Random } from '../stream/schedule.ts';
import { type Life, real } from './dying-agent.ts';

/** The modules under test: the real ones, or mutants of them. */
export interface AdoptCore {
  readonly prepareStdio: typeof import('../../../../agent/process/stdio.ts').prepareStdio;
  readonly prepareOwnTerminal: typeof import('../../../../agent/process/stdio.ts').prepareOwnTerminal;
  readonly adoptStdio: typeof import('../../../../agent/process/adopt-stdio.ts').adoptStdio;
  readonly newStdioKey: typeof import('../../../../agent/process/stdio-store.ts').newStdioKey;
  readonly Budget: typeof import('../../../../agent/process/stream/budget.ts').Budget;
  readonly ByteLog: typeof import('../../../../agent/process/stream/byte-log.ts').ByteLog;
  readonly PulledOutput: typeof import('../../../../agent/process/stream/pulled-output.ts').PulledOutput;
}

const KIB = 1024;
const INPUT_BYTES = 60 * KIB;

export const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** One output: who writes it, who reads it, and what the log must be. */
export class Output {
  readonly name: 'stdout' | 'stderr';
  shadow: InstanceType<AdoptCore['ByteLog']>;
  readonly #core: AdoptCore;
  readonly #random: Random;
  /** Kata's way of reading, without offsets of the client's own. */
  readonly #pulls: boolean;
  written = 0;
  writeEnd: number | undefined;
  log!: OutputLog;
  #reader: LogReader | undefined;
  #puller: InstanceType<AdoptCore['PulledOutput']> | undefined;
  #underWay: Pulled | undefined;
  /** The client has everything below. */
  #has = 0n;
  #acked = 0n;
  /** As readers were told. */
  #ending: string | undefined;
  /** What the agent may have done when it died. */
  #inDoubt: (() => void) | undefined;

  constructor(core: AdoptCore, random: Random, name: 'stdout' | 'stderr', writeEnd: number) {
    this.name = name;
    this.#core = core;
    this.#random = random;
    this.writeEnd = writeEnd;
    const mode = random.of(['lossless', 'lossless', 'latest', 'discard'] as const);
    this.shadow = new core.ByteLog({ mode, limit: random.of([4, 10, 32]) * KIB, history: random.of([0, 0, 3000]) });
    this.#pulls = mode === 'lossless' && random.chance(0.4);
  }

  /** The process writes what its pipe takes. */
  write(): void {
    if (this.writeEnd === undefined) return;
    try {
      this.written += writeSync(this.writeEnd, pattern(this.written, 1 + this.#random.below(6 * KIB)));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN', 'a writer was told that nobody reads');
    }
  }

  closeWriter(): void {
    if (this.writeEnd !== undefined) real.close(this.writeEnd);
    this.writeEnd = undefined;
  }

  /** The client is there, with a new agent: it goes on where it was. */
  attach(stdio: Stdio): void {
    const first = this.log === undefined;
    this.log = stdio[this.name];
    this.#reader = undefined;
    this.#puller = undefined;
    if (first) return;
    const told = this.#ending;
    this.check();
    // An answer that had left when the agent died may be given once more: the protocol names no offsets.
    if (this.#pulls) this.#acked = this.log.acknowledged;
    assert.ok(told === undefined || this.log.ended, `the end of ${this.name} was told and is forgotten`);
  }

  read(life: Life): void {
    this.#follow();
    if (this.#pulls) this.#pull(life);
    else this.#read(life);
  }

  ack(life: Life, all = false): void {
    this.#follow();
    const pulled = this.#underWay;
    if (pulled !== undefined) {
      this.#underWay = undefined;
      const arrived = all || this.#random.chance(0.7);
      life.run(() => pulled.settle(arrived));
      if (arrived && pulled.piece.kind === 'data') this.#acked = pulled.piece.offset + BigInt(pulled.piece.data.length);
    } else if (this.#reader !== undefined) {
      const to = all ? this.#has : this.#acked + BigInt(this.#random.below(Number(this.#has - this.#acked) + 1));
      const reader = this.#reader;
      life.run(() => reader.ack(to));
      this.#acked = to;
    } else return;
    // An agent that died of it may have noted it or not; the next one tells which.
    if (!life.dead) this.#follow(this.#acked);
    else this.#inDoubt = () => this.shadow.ack(this.#acked);
  }

  #claim(from: bigint): void {
    this.shadow.claim(from > this.shadow.start ? from : this.shadow.start);
  }

  /** Every figure is as if no agent had ever died. */
  check(): void {
    const { log } = this;
    this.#ending = log.ending;
    assert.ok(log.end <= BigInt(this.written), 'the log has what was never written');
    const figures = () => [this.shadow.start, this.shadow.acked, this.shadow.dropped];
    const found = [log.start, log.acknowledged, log.dropped];
    const doubt = this.#inDoubt;
    this.#inDoubt = undefined;
    if (doubt !== undefined) {
      const { retention, start, end, acked, dropped } = this.shadow;
      doubt();
      this.#follow();
      if (isDeepStrictEqual(found, figures())) return;
      this.shadow = new this.#core.ByteLog(retention, { start, end, acked, dropped });
    }
    this.#follow();
    assert.deepEqual(found, figures(), `start, acknowledged and dropped of ${this.name}`);
  }

  /** The end, whatever is left to read. */
  finished(life: Life): boolean {
    this.closeWriter();
    this.read(life);
    this.ack(life, true);
    if (this.log.mode === 'lossless') return this.log.consumed;
    return this.log.ending === 'closed' && this.#has >= this.log.end;
  }

  checkFinished(): void {
    assert.equal(this.log.end, BigInt(this.written), `all of ${this.name} came`);
    if (this.log.mode === 'lossless') assert.equal(this.log.dropped, 0n);
  }

  #follow(acked?: bigint): void {
    const came = Number(this.log.end - this.shadow.end);
    assert.ok(came >= 0, `${this.name} lost ${-came} bytes`);
    // An acknowledgement never moves bytes; they came before or after it.
    if (acked !== undefined) this.shadow.ack(acked);
    if (came > 0) this.shadow.append(came);
  }

  #read(life: Life): void {
    if (this.#reader === undefined) {
      const from = this.#random.chance(0.5) ? this.#has : this.#acked;
      this.#reader = life.run(() => this.log.reader({ from, primary: true }));
      // Who names an offset has what is below it.
      this.#acked = from;
      this.#inDoubt = () => this.#claim(from);
      if (this.#reader === undefined) return;
      this.#inDoubt = undefined;
      this.#claim(from);
      this.#has = from;
      this.#follow();
    }
    const reader = this.#reader;
    const piece = life.run(() => reader.tryNext(1 + this.#random.below(5 * KIB)));
    if (piece?.kind === 'gap') {
      assert.notEqual(this.log.mode, 'lossless', 'a lossless log has a gap');
      assert.deepEqual([piece.from, piece.to], [this.#has, this.log.start]);
      this.#has = piece.to;
      if (this.#acked < piece.to) this.#acked = piece.to;
    } else if (piece?.kind === 'data') this.#take(piece);
  }

  #pull(life: Life): void {
    if (this.#underWay !== undefined) return;
    this.#puller ??= life.run(() => new this.#core.PulledOutput(this.log.reader({ from: 'ack', primary: true })));
    const puller = this.#puller;
    if (puller === undefined) return;
    const pulled = life.run(() => puller.take(1 + this.#random.below(5 * KIB)));
    if (pulled?.piece.kind !== 'data') return;
    assert.equal(pulled.piece.offset, this.log.acknowledged, 'what an answer got lost with is given again, and nothing twice');
    this.#has = pulled.piece.offset;
    this.#take(pulled.piece);
    this.#underWay = pulled;
  }

  /** The connection broke with the agent. */
  died(): void {
    if (this.#underWay === undefined) return;
    this.#underWay = undefined;
    this.#has = this.#acked;
  }

  #take({ offset, data }: { offset: bigint; data: Buffer }): void {
    assert.equal(offset, this.#has, `${this.name} goes on where it was`);
    assert.ok(data.equals(pattern(Number(offset), data.length)), `wrong bytes at ${offset} of ${this.name}`);
    this.#has += BigInt(data.length);
  }
}

/** Input: who writes it, and the process that reads it. */
export class Input {
  readonly #random: Random;
  readonly #terminal: boolean;
  readEnd: number | undefined;
  stdin!: Stdio['stdin'];
  /** What the client knows is accepted. */
  #sure = 0;
  #sent = 0;
  #closing = false;
  readonly read: Buffer[] = [];
  ended = false;

  constructor(random: Random, readEnd: number | undefined, terminal: boolean) {
    this.#random = random;
    this.#terminal = terminal;
    this.readEnd = readEnd;
  }

  attach(stdio: Stdio): void {
    this.stdin = stdio.stdin;
    const accepted = Number(this.stdin.accepted);
    assert.ok(
      accepted >= this.#sure && accepted <= this.#sent,
      `${accepted} accepted, of ${this.#sure} known and ${this.#sent} sent`,
    );
    if (this.#closed) assert.notEqual(this.stdin.state, 'open', 'the end of input is forgotten');
  }

  #closed = false;

  async write(life: Life): Promise<void> {
    if (this.stdin.state !== 'open' || this.#closing) return;
    this.#sure = Number(this.stdin.accepted);
    if (this.#sure === INPUT_BYTES) return this.close(life);
    const part = pattern(this.#sure, Math.min(INPUT_BYTES - this.#sure, 1 + this.#random.below(5 * KIB)));
    this.#sent = Math.max(this.#sent, this.#sure + part.length);
    await life.runAsync(async () => {
      const written = this.stdin.write(part, { offset: BigInt(this.#sure) });
      written.catch(() => {});
      await settled();
    });
    if (!life.dead) this.#sure = Number(this.stdin.accepted);
  }

  close(life: Life): void {
    this.#closing = true;
    life.run(() => this.stdin.close());
    if (!life.dead) this.#closed = true;
    this.#closing = false;
  }

  take(): void {
    if (this.readEnd === undefined || this.ended) return;
    const buffer = Buffer.alloc(1 + this.#random.below(9 * KIB));
    try {
      const got = readSync(this.readEnd, buffer, 0, buffer.length, null);
      if (got === 0) this.ended = true;
      else this.read.push(buffer.subarray(0, got));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    }
    const all = Buffer.concat(this.read);
    if (this.#terminal && all.length === INPUT_BYTES + 1) this.ended = true;
  }

  checkFinished(): void {
    const all = Buffer.concat(this.read);
    const mark = this.#terminal ? [Buffer.of(4)] : [];
    assert.ok(
      all.equals(Buffer.concat([pattern(0, INPUT_BYTES), ...mark])),
      `the process read its input exactly: ${all.length} bytes`,
    );
  }
}
