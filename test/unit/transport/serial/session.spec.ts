import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FrameReader } from '../../../../agent/transport/serial/frame.ts';
import { DEAD_TICKS, QUIET_TICKS, Session } from '../../../../agent/transport/serial/session.ts';

const WINDOW = 4096;

/** One end, with a reader that takes what it is told to. */
class End {
  readonly session: Session;
  readonly got: Buffer[] = [];
  /** Delivered and not read yet, bytes. */
  unread = 0;
  ended = false;
  over: string | undefined | false = false;
  /** Bytes on the line towards the other end. */
  out = Buffer.alloc(0);

  constructor(window = WINDOW) {
    this.session = new Session(
      { id: 1n, window },
      {
        transmit: (bytes) => {
          this.out = Buffer.concat([this.out, bytes]);
        },
        deliver: (payload) => {
          this.got.push(Buffer.from(payload));
          this.unread += payload.length;
        },
        end: () => {
          this.ended = true;
        },
        drained: () => {},
        over: (reason) => {
          this.over = reason;
        },
      },
    );
  }

  get text(): string {
    return Buffer.concat(this.got).toString();
  }

  readAll(): void {
    const { unread } = this;
    this.unread = 0;
    this.session.taken(unread);
  }
}

/** Carries what both have said until nobody says more, through `spoil`. */
function carry(a: End, b: End, spoil: (bytes: Buffer) => Buffer = (bytes) => bytes): void {
  const toB = new FrameReader((frame) => b.session.receive(frame));
  const toA = new FrameReader((frame) => a.session.receive(frame));
  for (let rounds = 0; a.out.length + b.out.length > 0; rounds++) {
    assert.ok(rounds < 1000, 'the two talk for ever');
    const [fromA, fromB] = [a.out, b.out];
    a.out = b.out = Buffer.alloc(0);
    toB.push(spoil(fromA));
    toA.push(spoil(fromB));
  }
}

describe('a session on a serial line', () => {
  it('holds back what there is no room for, and goes on as it is read', () => {
    const [a, b] = [new End(), new End()];
    const bytes = Buffer.alloc(10 * WINDOW, 'berth ');
    assert.equal(a.session.write(bytes), false);
    carry(a, b);
    assert.equal(b.unread, WINDOW);
    for (let round = 0; round < 12; round++) {
      b.readAll();
      carry(a, b);
    }
    assert.ok(Buffer.concat(b.got).equals(bytes));
    assert.equal(a.session.write(Buffer.from('x')), true);
  });

  it('ends each way by itself: half closed, it still carries the other way', () => {
    const [a, b] = [new End(), new End()];
    a.session.write(Buffer.from('question'));
    a.session.end();
    carry(a, b);
    assert.deepEqual([b.text, b.ended, a.ended], ['question', true, false]);
    b.session.write(Buffer.from('answer'));
    carry(a, b);
    assert.equal(a.text, 'answer');
    b.session.end();
    carry(a, b);
    assert.deepEqual([a.over, b.over, a.ended], [undefined, undefined, true]);
  });

  it('says its end after what waits for room, not before', () => {
    const [a, b] = [new End(), new End()];
    a.session.write(Buffer.alloc(2 * WINDOW));
    a.session.end();
    carry(a, b);
    assert.equal(b.ended, false);
    b.readAll();
    carry(a, b);
    assert.equal(b.ended, true);
    assert.equal(Buffer.concat(b.got).length, 2 * WINDOW);
  });

  it('ends on bytes beyond the room it gave', () => {
    const [greedy, end] = [new End(2 * WINDOW), new End()];
    greedy.session.write(Buffer.alloc(2 * WINDOW));
    carry(greedy, end);
    assert.match(String(end.over), /more was sent than there is room for/);
    assert.match(String(greedy.over), /more was sent than there is room for/, 'the other side is told why');
  });

  it('asks for a sign of life after silence, lives on where one comes, and is over where none does', () => {
    const [a, b] = [new End(), new End()];
    for (let second = 0; second < 3 * DEAD_TICKS; second++) {
      a.session.tick();
      carry(a, b);
    }
    assert.equal(a.over, false);
    for (let second = 0; second < QUIET_TICKS - 1; second++) a.session.tick();
    a.out = Buffer.alloc(0);
    a.session.tick();
    assert.ok(a.out.length > 0, 'it asks');
    for (let second = QUIET_TICKS; second < DEAD_TICKS; second++) a.session.tick();
    assert.match(String(a.over), /no sign of life/);
  });

  it('is healed by a sign of life where the line has lost what gave room, or the end', () => {
    const [a, b] = [new End(), new End()];
    a.session.write(Buffer.alloc(WINDOW + 1));
    carry(a, b);
    b.readAll();
    b.out = Buffer.alloc(0); // lost
    for (let second = 0; second < QUIET_TICKS; second++) a.session.tick();
    carry(a, b);
    assert.equal(Buffer.concat(b.got).length, WINDOW + 1);
    a.session.end();
    a.out = Buffer.alloc(0); // lost
    a.session.tick();
    carry(a, b);
    assert.equal(b.ended, true);
  });

  it('delivers a beginning of what was sent and nothing else, whatever the line loses or spoils, and ends when it has', () => {
    const fault = fc.record({ at: fc.nat(), drop: fc.integer({ min: 0, max: 50 }), flip: fc.integer({ min: 0, max: 255 }) });
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 6000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(chunks, fc.array(fault, { maxLength: 4 }), (sent, faults) => {
        const [a, b] = [new End(), new End()];
        const left = [...faults];
        const spoil = (bytes: Buffer): Buffer => {
          if (bytes.length === 0 || left.length === 0) return bytes;
          const { at, drop, flip } = left.shift()!;
          const where = at % bytes.length;
          const copy = Buffer.from(bytes);
          copy[where]! ^= flip;
          return Buffer.concat([copy.subarray(0, where), copy.subarray(where + drop)]);
        };
        for (const chunk of sent) a.session.write(Buffer.from(chunk));
        a.session.end();
        for (let second = 0; second < 100 && a.over === false; second++) {
          carry(a, b, spoil);
          b.readAll();
          a.session.tick();
          b.session.tick();
          if (b.ended) b.session.end();
        }
        const whole = Buffer.concat(sent);
        const got = Buffer.concat(b.got);
        assert.ok(got.equals(whole.subarray(0, got.length)));
        if (b.over === undefined || b.ended) assert.equal(got.length, whole.length);
        assert.notEqual(a.over, false, 'it has come to an end');
      }),
    );
  });
});
