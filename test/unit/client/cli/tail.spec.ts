import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LastLines } from '../../../../client/cli/tail.ts';

describe('the last lines of a log', () => {
  it('are those that tail(1) gives, with the offset of the first, however the log came in pieces', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 40 });
    fc.assert(
      fc.property(
        text,
        fc.nat(5),
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
        fc.nat(1000),
        (log, count, sizes, begin) => {
          const last = new LastLines(count);
          const bytes = Buffer.from(log);
          for (let at = 0, turn = 0; at < bytes.length; turn++) {
            const data = bytes.subarray(at, at + sizes[turn % sizes.length]!);
            last.push({ kind: 'data', offset: BigInt(begin + at), data });
            at += data.length;
          }
          const lines = log.split(/(?<=\n)/).filter((line) => line !== '');
          const expected = count === 0 ? '' : lines.slice(-count).join('');
          const [piece, ...more] = last.pieces();
          assert.deepEqual([piece?.data.toString() ?? '', more.length], [expected, 0]);
          if (piece !== undefined) assert.equal(piece.offset, BigInt(begin + log.length - expected.length));
        },
      ),
    );
  });
});
