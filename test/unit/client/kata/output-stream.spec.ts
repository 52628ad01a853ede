import assert from 'node:assert/strict';
import { OutputStream } from '../../../../client/kata/output-stream.ts';

/** Answers reads with `chunks` and then the end; counts what is in flight. */
function source(...chunks: string[]) {
  const calls = { reads: 0, inFlight: 0, most: 0 };
  const read = async (): Promise<Uint8Array> => {
    calls.reads += 1;
    calls.inFlight += 1;
    calls.most = Math.max(calls.most, calls.inFlight);
    await new Promise((resolve) => setImmediate(resolve));
    calls.inFlight -= 1;
    return Buffer.from(chunks.shift() ?? '');
  };
  return { calls, stream: new OutputStream(read) };
}

async function text(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('an output stream', () => {
  it('gives every chunk in order, with one read in flight, to the empty answer', async () => {
    const { stream, calls } = source('a', 'bc', 'd');
    assert.equal(await text(stream), 'abcd');
    assert.deepEqual([calls.reads, calls.most, stream.bytesRead], [4, 1, 4]);
  });

  it('reads nothing before its reader asks: that is what holds the process back', async () => {
    const { stream, calls } = source('a', 'b');
    const reader = stream[Symbol.asyncIterator]();
    assert.equal(calls.reads, 0);
    await reader.next();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(calls.reads, 1);
  });

  it('refuses a second reader, which would get every other chunk', () => {
    const { stream } = source('a');
    stream[Symbol.asyncIterator]();
    assert.throws(() => stream[Symbol.asyncIterator](), /already being read/);
  });

  it('is read to its end by drained() when nobody reads it', async () => {
    const { stream, calls } = source('a', 'b');
    await stream.drained();
    assert.deepEqual([calls.reads, stream.bytesRead], [3, 2]);
  });

  it('is drained after its reader left half-way', async () => {
    const { stream } = source('a', 'b', 'c');
    for await (const chunk of stream) {
      assert.equal(Buffer.from(chunk).toString(), 'a');
      break;
    }
    await stream.drained();
    assert.equal(stream.bytesRead, 3);
  });

  it('is drained by its reader while that reads', async () => {
    const { stream, calls } = source('a', 'b', 'c');
    const [whole] = await Promise.all([text(stream), stream.drained()]);
    assert.deepEqual([whole, calls.most], ['abc', 1]);
  });

  it('passes the error of a read on, to the reader and to drained()', async () => {
    const failing = () => new OutputStream(() => Promise.reject(new Error('gone')));
    await assert.rejects(text(failing()), /gone/);
    await assert.rejects(failing().drained(), /gone/);
  });
});
