// The frame decoder: the same frames whatever way the bytes were cut.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hasCode } from '../../../agent/errors.ts';
import { MAX_MESSAGE_BYTES } from '../../../agent/rpc/limits.ts';
import { FrameDecoder, HEADER_BYTES, writeHeader } from '../../../agent/rpc/ttrpc/frame.ts';

interface Frame {
  streamId: number;
  type: number;
  flags: number;
  body: Buffer;
}
type Seen = Frame | { streamId: number; oversize: number };

function encode({ streamId, type, flags, body }: Frame): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + body.length);
  writeHeader(bytes, body.length, streamId, type, flags);
  body.copy(bytes, HEADER_BYTES);
  return bytes;
}

function decoder(copy = true): { decoder: FrameDecoder; seen: Seen[] } {
  const seen: Seen[] = [];
  const receiver = {
    onFrame: (streamId: number, type: number, flags: number, body: Buffer) => seen.push({ streamId, type, flags, body }),
    onOversize: (streamId: number, _type: number, length: number) => seen.push({ streamId, oversize: length }),
  };
  return { decoder: new FrameDecoder(receiver, { copy }), seen };
}

const frames: Frame[] = [
  { streamId: 1, type: 1, flags: 0, body: Buffer.from('hello') },
  { streamId: 3, type: 1, flags: 0, body: Buffer.alloc(0) },
  { streamId: 0xffffffff, type: 2, flags: 0xff, body: Buffer.from([0]) },
];
const session = Buffer.concat(frames.map(encode));

describe('the ttrpc frame decoder', () => {
  it('reads frames that come in one piece', () => {
    const { decoder: reader, seen } = decoder();
    reader.push(session);
    assert.deepEqual(seen, frames);
  });

  it('reads the same frames when they are cut in two at any byte', () => {
    for (let cut = 0; cut <= session.length; cut++) {
      const { decoder: reader, seen } = decoder();
      reader.push(session.subarray(0, cut));
      reader.push(session.subarray(cut));
      assert.deepEqual(seen, frames, `cut at ${cut}`);
      assert.equal(reader.midFrame, false);
    }
  });

  it('reads the same frames byte by byte', () => {
    const { decoder: reader, seen } = decoder();
    for (const byte of session) reader.push(Buffer.from([byte]));
    assert.deepEqual(seen, frames);
  });

  it('reads any frames cut in any way', () => {
    const anyFrame = fc.record(
      {
        streamId: fc.integer({ min: 0, max: 0xffffffff }),
        type: fc.integer({ min: 0, max: 255 }),
        flags: fc.integer({ min: 0, max: 255 }),
        body: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        fc.boolean(),
        (list, cuts, copy) => {
          const bytes = Buffer.concat(list.map(encode));
          const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
          const { decoder: reader, seen } = decoder(copy);
          let from = 0;
          for (const cut of [...at, bytes.length]) {
            reader.push(bytes.subarray(from, cut));
            from = cut;
          }
          assert.deepEqual(seen, list);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('takes any bytes without an error other than its own', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 6 }), (chunks) => {
        const { decoder: reader } = decoder();
        try {
          for (const chunk of chunks) reader.push(Buffer.from(chunk));
        } catch (error) {
          assert.ok(hasCode(error, 'invalid_argument'), String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('hands out bodies that survive the chunk they came in', () => {
    const { decoder: reader, seen } = decoder();
    const chunk = Buffer.from(session);
    reader.push(chunk);
    chunk.fill(0xee);
    assert.deepEqual(seen, frames);
  });

  it('hands out views when told not to copy', () => {
    const { decoder: reader, seen } = decoder(false);
    const chunk = Buffer.from(encode(frames[0]!));
    reader.push(chunk);
    assert.equal((seen[0] as Frame).body.buffer, chunk.buffer);
  });

  it('takes a body of exactly the limit', () => {
    const { decoder: reader, seen } = decoder();
    const frame = { streamId: 5, type: 1, flags: 0, body: Buffer.alloc(MAX_MESSAGE_BYTES, 7) };
    const bytes = encode(frame);
    reader.push(bytes.subarray(0, 100_000));
    reader.push(bytes.subarray(100_000));
    assert.equal((seen[0] as Frame).body.compare(frame.body), 0);
  });

  it('skips a body above the limit, says so at once, and reads on behind it', () => {
    const length = MAX_MESSAGE_BYTES + 1;
    const header = Buffer.alloc(HEADER_BYTES);
    writeHeader(header, length, 9, 1);
    for (const cut of [0, 1, 4, 9]) {
      const { decoder: reader, seen } = decoder();
      reader.push(header.subarray(0, cut));
      reader.push(header.subarray(cut));
      assert.deepEqual(seen, [{ streamId: 9, oversize: length }]);
      assert.equal(reader.midFrame, true);
      for (let left = length; left > 0; left -= 65_536) reader.push(Buffer.alloc(Math.min(left, 65_536), 1));
      assert.equal(reader.midFrame, false);
      reader.push(session);
      assert.deepEqual(seen.slice(1), frames);
    }
  });

  it('refuses a length that only another protocol could have', () => {
    for (const bytes of [Buffer.from([1]), Buffer.from([0x16, 3, 1]), Buffer.from('GET / HTTP/1.1\r\n\r\n')]) {
      assert.throws(
        () => decoder().decoder.push(bytes),
        (error) => hasCode(error, 'invalid_argument'),
      );
    }
  });

  it('knows when the stream stopped inside a frame', () => {
    const { decoder: reader } = decoder();
    assert.equal(reader.midFrame, false);
    reader.push(session.subarray(0, 3));
    assert.equal(reader.midFrame, true);
    reader.push(session.subarray(3, 12));
    assert.equal(reader.midFrame, true);
    reader.push(session.subarray(12, 15));
    assert.equal(reader.midFrame, false);
  });
});
