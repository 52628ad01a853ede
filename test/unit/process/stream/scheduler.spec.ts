import assert from 'node:assert/strict';
import {
  CLIENT_WINDOW_BYTES,
  LOOP_TURN_BYTES,
  QUANTUM_BYTES,
  Scheduler,
  SMALL_WINDOW_BYTES,
  TOTAL_WINDOW_BYTES,
} from '../../../../agent/process/stream/scheduler.ts';
import type { Turn } from '../../../../agent/process/stream/turns.ts';

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Streams that always have something to send, in pieces of a size, over sockets that drain at once or not at all. */
class Bench {
  readonly scheduler: Scheduler;
  readonly sent = new Map<string, number>();
  #deferred: (() => void)[] = [];
  #going = true;

  constructor() {
    this.scheduler = new Scheduler({ defer: (callback) => this.#deferred.push(callback) });
  }

  start(client: string, stream: string, pieceBytes: number, drains = true): void {
    const key = { stream };
    const name = `${client}/${stream}`;
    this.sent.set(name, 0);
    void (async () => {
      while (this.#going) {
        const turn = await this.scheduler.turn(client, key, pieceBytes);
        turn.take(turn.bytes);
        this.sent.set(name, this.sent.get(name)! + turn.bytes);
        if (drains) turn.done();
      }
    })();
  }

  /** Turns of the event loop; returns the most bytes of one. */
  async loop(turns: number): Promise<number> {
    let most = 0;
    for (let i = 0; i < turns; i++) {
      const before = this.total();
      for (const callback of this.#deferred.splice(0)) callback();
      await settled();
      most = Math.max(most, this.total() - before);
    }
    return most;
  }

  total(prefix = ''): number {
    let sum = 0;
    for (const [name, bytes] of this.sent) if (name.startsWith(prefix)) sum += bytes;
    return sum;
  }

  stop(): void {
    this.#going = false;
  }
}

describe('turns to send bulk', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.stop());

  it('come at once to who is alone', async () => {
    const turn = await bench.scheduler.turn('a', {}, 1000);
    assert.equal(turn.bytes, 1000);
    turn.take(1000);
    assert.equal(bench.scheduler.inFlight('a'), 1000);
    turn.done();
    turn.done();
    assert.equal(bench.scheduler.inFlight('a'), 0);
  });

  it('share by bytes over clients, however many streams one has and however large its pieces are', async () => {
    for (let i = 0; i < 16; i++) bench.start('many', String(i), 65_536);
    bench.start('one', '0', 65_536);
    bench.start('small', '0', 4_096);
    await bench.loop(400);
    const shares = ['many', 'one', 'small'].map((client) => bench.total(`${client}/`) / bench.total());
    for (const share of shares) assert.ok(Math.abs(share - 1 / 3) < 0.02, String(shares));
  });

  it("share by bytes over one client's streams", async () => {
    bench.start('a', 'large', 65_536);
    bench.start('a', 'small', 1_024);
    await bench.loop(300);
    const share = bench.total('a/small') / bench.total();
    assert.ok(Math.abs(share - 1 / 2) < 0.02, String(share));
  });

  it('are fair over eight clients by the index of Jain', async () => {
    for (let i = 0; i < 8; i++) bench.start(`c${i}`, '0', 1 << (10 + i));
    await bench.loop(600);
    const got = Array.from({ length: 8 }, (_, i) => bench.total(`c${i}/`));
    const jain = got.reduce((a, b) => a + b) ** 2 / (8 * got.reduce((a, b) => a + b * b, 0));
    assert.ok(jain >= 0.99, String(jain));
  });

  it('pass over a client that does not drain once its window is full, at no cost to the others', async () => {
    for (let i = 0; i < 16; i++) bench.start('stuck', String(i), 65_536, false);
    bench.start('live', '0', 65_536);
    await bench.loop(100);
    const stuck = bench.total('stuck/');
    assert.equal(stuck, CLIENT_WINDOW_BYTES);
    assert.ok(bench.total('live/') > 80 * LOOP_TURN_BYTES - stuck, String(bench.total('live/')));
  });

  it('keep what is in flight small in all, however many clients never drain', async () => {
    for (let i = 0; i < 200; i++) bench.start(`stuck${i}`, '0', 1 << 20, false);
    await bench.loop(400);
    const most = TOTAL_WINDOW_BYTES + CLIENT_WINDOW_BYTES + 200 * SMALL_WINDOW_BYTES;
    assert.ok(bench.total() <= most, String(bench.total()));
    bench.start('live', '0', 65_536);
    await bench.loop(50);
    assert.ok(bench.total('live/') > 10 * SMALL_WINDOW_BYTES);
  });

  it('leave the event loop to others after a bounded number of bytes', async () => {
    for (let i = 0; i < 8; i++) bench.start(`c${i}`, '0', 65_536);
    await bench.loop(1);
    assert.ok((await bench.loop(50)) <= LOOP_TURN_BYTES);
  });

  it('go back when they are not used, and when their asker gives up', async () => {
    const controller = new AbortController();
    const turns: Turn[] = [];
    for (let i = 0; i < 4; i++) turns.push(await bench.scheduler.turn('a', {}, QUANTUM_BYTES));
    const given = bench.scheduler.turn('a', {}, QUANTUM_BYTES, controller.signal);
    const patient = bench.scheduler.turn('a', {}, QUANTUM_BYTES);
    controller.abort(new Error('gone'));
    await assert.rejects(given, /gone/);
    turns[0]!.take(0);
    await bench.loop(1);
    assert.equal((await patient).bytes, QUANTUM_BYTES);
    assert.equal(bench.scheduler.inFlight('a'), 4 * QUANTUM_BYTES);
  });

  it('are not asked for by who has left already', async () => {
    await assert.rejects(bench.scheduler.turn('a', {}, 1, AbortSignal.abort(new Error('gone'))), /gone/);
  });
});
