import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addRange, type ByteRange, covers } from '../../../../agent/guest/files/byte-ranges.ts';

describe('the bytes of a file that have come', () => {
  it('are those of the pieces, in sorted ranges with a gap between each two, whatever their order', () => {
    const piece = fc.tuple(fc.nat(60), fc.nat(10)).map(([from, length]) => ({ from, to: from + length }));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 0, max: 70 }), (pieces, size) => {
        const held = new Set<number>();
        let ranges: ByteRange[] = [];
        for (const { from, to } of pieces) {
          for (let at = from; at < to; at++) held.add(at);
          ranges = addRange(ranges, { from, to });
        }
        ranges.forEach(({ from, to }, index) => {
          assert.ok(from < to);
          assert.ok(index === 0 || from > ranges[index - 1]!.to);
        });
        const listed = ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, at) => from + at));
        assert.deepEqual(
          listed,
          [...held].sort((a, b) => a - b),
        );
        const whole = held.size === size && [...held].every((at) => at < size);
        assert.equal(covers(ranges, size), size === 0 || whole);
      }),
    );
  });
});
