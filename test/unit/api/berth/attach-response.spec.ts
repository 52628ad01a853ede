// Output put into its message by hand is what protobufjs would have made of it.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { berth } from '#proto/berth.js';
import { attachResponse } from '../../../../agent/api/berth/attach-response.ts';

describe('output in its message', () => {
  it('is as the generated code encodes it, with room before it or without', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.uint8Array({ minLength: 1, maxLength: 20_000 }),
        fc.constantFrom('stdout' as const, 'stderr' as const),
        fc.constantFrom(0, 10, 64),
        (offset, bytes, stream, headroom) => {
          const data = Buffer.concat([Buffer.alloc(headroom), bytes]).subarray(headroom);
          const frame = attachResponse.frame!({ kind: 'data', stream, offset, data, headroom }, 5)!;
          const { data: told } = berth.v1.AttachResponse.decode(frame.subarray(5));
          assert.deepEqual([told!.offset, told!.stream], [offset, stream === 'stdout' ? 1 : 2]);
          assert.ok(Buffer.from(told!.data!).equals(bytes));
          // The prefix is the caller's, and nothing lies before it.
          assert.equal(
            frame.length,
            5 +
              berth.v1.AttachResponse.encode({ data: { offset, stream: told!.stream, data: bytes } }).finish().length +
              (offset === 0n ? 2 : 0),
          );
        },
      ),
    );
  });
});
