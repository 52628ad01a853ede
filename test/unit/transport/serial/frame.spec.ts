import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  encodeFrame,
  FRAME_TYPES,
  type Frame,
  FrameReader,
  type FrameType,
  HEADER_BYTES,
  MAX_FRAME_BYTES,
  MAX_PAYLOAD_BYTES,
  PADDING,
} from '../../../../agent/transport/serial/frame.ts';

const frames: fc.Arbitrary<Frame> = fc.record(
  {
    type: fc.constantFrom(...Object.values(FRAME_TYPES)) as fc.Arbitrary<FrameType>,
    session: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    sent: fc.integer({ min: 0, max: 0xffffffff }),
    taken: fc.integer({ min: 0, max: 0xffffffff }),
    payload: fc.uint8Array({ maxLength: 300 }),
  },
  { noNullPrototype: true },
);
const frame = (payload: Uint8Array): Frame => ({ type: FRAME_TYPES.data, session: 7n, sent: 1, taken: 2, payload });

/** Reads in pieces of the lengths given, over and over, out of memory that is used again as a socket's is. */
function read(bytes: Uint8Array, pieces: readonly number[] = [bytes.length]): Frame[] {
  const seen: Frame[] = [];
  const reader = new FrameReader((found) => seen.push({ ...found, payload: Uint8Array.from(found.payload) }));
  const memory = Buffer.alloc(Math.max(1, ...pieces));
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const piece = bytes.subarray(at, at + pieces[turn % pieces.length]!);
    memory.set(piece);
    reader.push(memory.subarray(0, piece.length));
    memory.fill(0xb5);
    at += piece.length;
  }
  return seen;
}

describe('the frames of a serial line', () => {
  it('are read as they were written, in whatever pieces they come', () => {
    fc.assert(
      fc.property(
        fc.array(frames, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (sent, pieces) => {
          assert.deepEqual(read(Buffer.concat(sent.map(encodeFrame)), pieces), sent);
        },
      ),
    );
  });

  it('are found after anything that is none, unless that looks like the beginning of one', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), frames, (garbage, wanted) => {
        const before = read(garbage);
        const seen = read(Buffer.concat([garbage, encodeFrame(wanted)]));
        // Chance makes no header with a right checksum; what garbage holds is garbage.
        assert.deepEqual([before, seen], [[], [wanted]]);
      }),
    );
  });

  it('never come out of bytes of any kind with a wrong checksum, nor stop the reader', () => {
    fc.assert(
      fc.property(frames, fc.nat(), fc.integer({ min: 1, max: 255 }), frames, (broken, where, flip, wanted) => {
        const bytes = encodeFrame(broken);
        bytes[where % bytes.length]! ^= flip;
        const seen = read(Buffer.concat([bytes, PADDING, encodeFrame(wanted)]));
        assert.deepEqual(seen, [wanted]);
      }),
    );
  });

  it('are found after one that was cut at any byte, once the padding has filled it up', () => {
    const cut = encodeFrame(frame(Buffer.alloc(MAX_PAYLOAD_BYTES, 'x')));
    assert.equal(cut.length, MAX_FRAME_BYTES);
    const wanted = frame(Buffer.from('wanted'));
    for (let length = 0; length < cut.length; length++) {
      const seen = read(Buffer.concat([cut.subarray(0, length), PADDING, encodeFrame(wanted)]));
      assert.equal(seen.length, 1, `cut at ${length}`);
      assert.equal(Buffer.from(seen[0]!.payload).toString(), 'wanted');
    }
  });

  it('are not looked for inside one that is not whole: a container must not make frames with its output', () => {
    const inner = encodeFrame({ type: FRAME_TYPES.open, session: 666n, sent: 1, taken: 0, payload: Buffer.alloc(0) });
    const outer = encodeFrame(frame(Buffer.concat([inner, Buffer.alloc(100)])));
    outer[outer.length - 1]! ^= 1;
    assert.deepEqual(read(outer), []);
    // Cut, it is filled up by the padding and passed over all the same.
    assert.deepEqual(read(Buffer.concat([outer.subarray(0, HEADER_BYTES + inner.length), PADDING])), []);
  });

  it('keep less than one frame in memory', () => {
    const reader = new FrameReader(() => {});
    const header = encodeFrame(frame(Buffer.alloc(MAX_PAYLOAD_BYTES))).subarray(0, HEADER_BYTES);
    for (let round = 0; round < 1000; round++) reader.push(Buffer.concat([header, Buffer.alloc(MAX_FRAME_BYTES, 1)]));
    assert.ok(reader.skipped > 1000 * HEADER_BYTES);
  });
});
