import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ProcessInput } from '../../../../client/api/input.ts';

describe('the input of a process', () => {
  it('never has more on its way than the window that the agent tells, however little at a time is accepted', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.integer({ min: 5_000, max: 100_000 }),
        fc.integer({ min: 1_000, max: 300_000 }),
        async (writes, step, window) => {
          let accepted = 0;
          let sent = 0;
          let most = 0;
          const input = new ProcessInput({
            wanted: () => {},
            send: (offset, data) => {
              sent = Math.max(sent, Number(offset) + data.length);
              most = Math.max(most, sent - accepted);
            },
            sendEnd: () => {},
          });
          input.opened(0n, window);
          const total = writes.reduce((sum, size) => sum + size, 0);
          const writing = (async () => {
            for (const size of writes) await input.write(Buffer.alloc(size));
          })();
          while (accepted < total) {
            await new Promise((resolve) => setImmediate(resolve));
            accepted = Math.min(sent, accepted + step);
            input.accept(BigInt(accepted));
          }
          await writing;
          assert.equal(sent, total);
          assert.ok(most <= window, `${most} of ${window} bytes wait`);
        },
      ),
      { numRuns: 30 },
    );
  });
});
