// One run of the stream core under a seeded schedule: processes that write, exit and leave children behind, readers that stall, leave, come
// back and lose answers, memory that is short. It throws at the first promise that is broken. BERTH_SEED=<n> replays one run.
import assert from 'node:assert/strict';
import type { LogReader, Piece } from '../../../../agent/process/stream/log-reader.ts';
import type { OutputLog } from '../../../../agent/process/stream/output-log.ts';
import type { Pulled } from '../../../../agent/process/stream/pulled-output.ts';
import { MemoryStore, TestClock } from './memory-store.ts';
import { type Core, pattern, Random } from './schedule.ts';

const DRAIN_MS = 500;
const MINIMUM_BYTES = 200;
const KIB = 1024;

/** A reader, and what it may expect. */
class Follower {
  protected reader: LogReader;
  protected expected: bigint;
  readonly log: OutputLog;
  constructor(log: OutputLog, reader: LogReader) {
    this.log = log;
    this.reader = reader;
    this.expected = reader.offset;
  }

  read(maxBytes: number): Piece | undefined {
    const piece = this.reader.tryNext(maxBytes);
    if (piece === undefined) {
      assert.ok(this.reader.offset >= this.log.end, 'there was something to read');
      return undefined;
    }
    if (piece.kind === 'gap') {
      assert.equal(piece.from, this.expected, 'a gap begins where reading had come to');
      assert.ok(piece.to > piece.from && piece.to === this.log.start, 'a gap ends at the oldest byte held');
      this.expected = piece.to;
    } else if (piece.kind === 'data') {
      assert.equal(piece.offset, this.expected, 'no byte twice, none left out');
      assert.ok(piece.data.length > 0 && piece.data.length <= maxBytes);
      assert.ok(piece.data.equals(pattern(Number(piece.offset), piece.data.length)), `wrong bytes at ${piece.offset}`);
      this.expected += BigInt(piece.data.length);
    } else {
      assert.equal(piece.offset, this.expected);
      assert.equal(this.expected, this.log.end, 'the end comes after everything');
      assert.ok(this.log.ended);
    }
    return piece;
  }

  leave(): void {
    this.reader.close();
  }
}

/** A primary reader that acknowledges late, goes away and comes back. */
class Primary extends Follower {
  acked: bigint;
  #random: Random;
  constructor(log: OutputLog, random: Random) {
    super(log, log.reader({ from: 'ack', primary: true }));
    this.acked = this.expected;
    this.#random = random;
  }

  override read(maxBytes: number): Piece | undefined {
    const piece = super.read(maxBytes);
    if (this.log.mode === 'lossless') assert.notEqual(piece?.kind, 'gap', 'the primary reader of a lossless log loses nothing');
    return piece;
  }

  ack(all = false): void {
    const there = Number(this.expected - this.acked);
    this.acked += BigInt(all ? there : this.#random.below(there + 1));
    this.reader.ack(this.acked);
  }

  /** The connection breaks: what was given and not acknowledged is asked for again. */
  comeBack(): void {
    const old = this.reader;
    const given = this.expected;
    const lingers = this.#random.chance(0.5);
    if (!lingers) old.close();
    this.reader = this.log.reader({
      from: this.#random.chance(0.5) ? 'ack' : this.acked < this.log.start ? 'start' : this.acked,
      primary: true,
    });
    if (this.log.mode === 'lossless') assert.equal(this.reader.offset, this.acked, 'what was not acknowledged is still there');
    this.expected = this.reader.offset;
    this.acked = this.expected;
    if (!lingers) return;
    const { start } = this.log;
    old.ack(given);
    assert.equal(this.log.start, start, 'who is no longer the primary reader acknowledges nothing');
    old.close();
  }
}

/** Kata's reads: several under way, some answers lost. */
class Puller {
  readonly #output: InstanceType<Core['PulledOutput']>;
  readonly #random: Random;
  readonly #underWay: Pulled[] = [];
  readonly arrived = new Set<number>();
  constructor(core: Core, log: OutputLog, random: Random) {
    this.#output = new core.PulledOutput(log.reader({ from: 'ack', primary: true }));
    this.#random = random;
  }

  pull(maxBytes: number): void {
    const pulled = this.#output.take(maxBytes);
    if (pulled?.piece.kind !== 'data') return;
    const { offset, data } = pulled.piece;
    assert.ok(data.length <= maxBytes && data.equals(pattern(Number(offset), data.length)));
    this.#underWay.push(pulled);
  }

  settle(arrived = !this.#random.chance(0.3)): boolean {
    const at = this.#random.below(this.#underWay.length);
    const [pulled] = this.#underWay.splice(at, 1);
    if (pulled?.piece.kind !== 'data') return false;
    if (arrived) {
      for (let i = 0; i < pulled.piece.data.length; i++) {
        const offset = Number(pulled.piece.offset) + i;
        assert.ok(!this.arrived.has(offset), `byte ${offset} arrived twice`);
        this.arrived.add(offset);
      }
    }
    pulled.settle(arrived);
    return true;
  }
}

class Stream {
  readonly store: MemoryStore;
  readonly log: OutputLog;
  readonly limit: number;
  readonly primary: Primary | undefined;
  readonly puller: Puller | undefined;
  followers: Follower[] = [];
  written = 0;
  writersOpen = true;
  exitedAt: number | undefined;
  lastOutputAt = 0;

  constructor(core: Core, random: Random, clock: TestClock, budget: InstanceType<Core['Budget']>) {
    const mode = random.of(['lossless', 'lossless', 'lossless', 'latest', 'discard'] as const);
    this.limit = random.of([1, 2, 4]) * KIB;
    this.store = new MemoryStore(random.of([512, 1 * KIB, 4 * KIB]));
    this.log = new core.OutputLog({
      store: this.store,
      clock,
      budget,
      drainMs: DRAIN_MS,
      retention: { mode, limit: this.limit, history: random.of([0, 0, 700]) },
    });
    if (mode === 'lossless' && random.chance(0.5)) this.puller = new Puller(core, this.log, random);
    else this.primary = new Primary(this.log, random);
  }

  check(): void {
    const { log } = this;
    assert.ok(log.start <= log.end && log.end <= BigInt(this.written));
    assert.ok(Number(log.end - log.start) <= this.limit, `${log.end - log.start} bytes are held, of at most ${this.limit}`);
    if (this.writersOpen) assert.equal(this.store.closedSource, false, 'a writer would get SIGPIPE');
    if (log.mode === 'lossless') assert.equal(log.dropped, 0n, 'a lossless log dropped something');
    if (log.mode === 'discard') assert.equal(log.dropped, log.end);
  }
}

/** @throws AssertionError naming the seed */
export function simulateOutput(core: Core, seed: number, steps = 400): void {
  const random = new Random(seed);
  try {
    runOutput(core, random, steps);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}

function runOutput(core: Core, random: Random, steps: number): void {
  const clock = new TestClock();
  let now = 0;
  const total = new core.Budget(random.of([2, 4, 64]) * KIB, { minimum: MINIMUM_BYTES });
  const streams = Array.from({ length: 1 + random.below(3) }, () => new Stream(core, random, clock, total.child(3 * KIB)));
  const checkAll = () => {
    for (const stream of streams) stream.check();
    const held = streams.reduce((sum, { log }) => sum + Number(log.end - log.start), 0);
    assert.equal(total.held, held, 'the budget counts what is held');
    assert.ok(held <= total.limit + streams.length * MINIMUM_BYTES);
  };
  const poll = (stream: Stream) => {
    const before = stream.log.end;
    stream.store.poll();
    if (stream.log.end > before) stream.lastOutputAt = now;
  };

  for (let step = 0; step < steps; step++) {
    const stream = random.of(streams);
    const { store, log, primary, puller } = stream;
    switch (random.below(12)) {
      case 0:
      case 1:
        if (stream.writersOpen) stream.written += store.write(pattern(stream.written, 1 + random.below(3 * KIB)));
        break;
      case 2:
      case 3:
        if (random.chance(0.2)) store.faults.push(random.of(['short', 'empty', 'error'] as const));
        poll(stream);
        break;
      case 4:
      case 5:
        primary?.read(1 + random.below(KIB));
        puller?.pull(1 + random.below(KIB));
        break;
      case 6:
        primary?.ack();
        puller?.settle();
        break;
      case 7:
        if (random.chance(0.3)) primary?.comeBack();
        break;
      case 8:
        if (stream.followers.length < 3)
          stream.followers.push(new Follower(log, log.reader({ from: random.of(['start', 'end'] as const) })));
        else stream.followers.shift()!.leave();
        break;
      case 9:
        if (stream.followers.length > 0) random.of(stream.followers).read(1 + random.below(KIB));
        break;
      case 10: {
        const ms = random.below(300);
        now += ms;
        clock.advance(ms);
        for (const { log: any, exitedAt, lastOutputAt } of streams) {
          if (any.ending === 'drained') {
            assert.ok(exitedAt !== undefined && now - Math.max(exitedAt, lastOutputAt) >= 0, 'no drained end before the exit');
          }
        }
        break;
      }
      default:
        if (step > steps / 2 && random.chance(0.2)) {
          if (stream.exitedAt === undefined) {
            stream.exitedAt = now;
            log.processExited();
          } else if (random.chance(0.3)) {
            stream.writersOpen = false;
            store.closeWriters();
          }
        }
    }
    checkAll();
  }
  for (const stream of streams) finish(stream, clock, checkAll);
}

/** Whatever happened, who reads on gets everything that was written, and then the end. */
function finish(stream: Stream, clock: TestClock, checkAll: () => void): void {
  const { store, log, primary, puller } = stream;
  store.faults = [];
  store.closeWriters();
  stream.writersOpen = false;
  for (let round = 0; log.ending !== 'closed' || (log.mode === 'lossless' && !log.consumed); round++) {
    assert.ok(round < 500, `the stream is stuck at ${log.end} of ${stream.written}${log.heldBack ? ', held back' : ''}`);
    clock.advance(100);
    store.poll();
    while (primary?.read(KIB)?.kind === 'data');
    primary?.ack(true);
    puller?.pull(KIB);
    while (puller?.settle(true));
    checkAll();
  }
  assert.equal(log.end, BigInt(stream.written), 'everything that was written was taken');
  if (puller !== undefined) assert.equal(puller.arrived.size, stream.written, 'everything arrived');
  for (const follower of stream.followers) {
    let last: Piece | undefined;
    for (let i = 0; i < 100 && last?.kind !== 'end'; i++) last = follower.read(64 * KIB);
    assert.equal(last?.kind, 'end', 'a follower reaches the end');
  }
}

/** The end of output after an exit, to the millisecond. */
export function simulateDrain(core: Core, seed: number): void {
  const random = new Random(seed);
  const clock = new TestClock();
  const store = new MemoryStore();
  const log = new core.OutputLog({ store, clock, budget: new core.Budget(1 << 20), drainMs: DRAIN_MS });
  try {
    const reader = log.reader({ primary: true });
    log.processExited();
    let quiet = 0;
    // The limit counts anew from when it is found that output came: it is told between one limit after the last output and two.
    for (let i = 0; i < 30; i++) {
      const ms = 1 + random.below(300);
      clock.advance(ms);
      quiet += ms;
      if (quiet < DRAIN_MS) assert.equal(log.ended, false, `the end was told ${quiet} ms after the last output`);
      if (quiet >= 2 * DRAIN_MS) assert.equal(log.ended, true, `no end ${quiet} ms after the last output`);
      if (log.ended) break;
      if (random.chance(0.7)) {
        store.write(Buffer.from('x'));
        store.poll();
        reader.tryNext(10);
        reader.ack(reader.offset);
        quiet = 0;
      }
    }
    const before = reader.offset;
    store.write(Buffer.from('late'));
    store.poll();
    const late = reader.tryNext(10);
    assert.ok(late?.kind === 'data' && late.offset === before, 'late output is given');
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}
