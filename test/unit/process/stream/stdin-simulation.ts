// Standard input under a seeded schedule: replies that get lost, writes given up, a process that reads at its own pace and may leave.
import assert from 'node:assert/strict';
import { MemoryStdin } from './memory-store.ts';
import { type Core, pattern, Random } from './schedule.ts';

/** A writer over replies that get lost, into a process that reads at its own pace and may leave. */
export async function simulateStdin(core: Core, seed: number): Promise<void> {
  const random = new Random(seed);
  const limit = random.of([64, 300]);
  const store = new MemoryStdin(random.of([16, 100]));
  const stdin = new core.StdinLog(store, { limitBytes: limit });
  const all = pattern(0, 2000);
  const leavesAfter = random.chance(0.3) ? random.below(1500) : undefined;
  let refused = false;
  try {
    for (let sure = 0; sure < all.length && !refused; ) {
      const from = Math.max(0, sure - random.below(50));
      const part = all.subarray(from, Math.min(all.length, sure + 1 + random.below(400)));
      const lost = random.chance(0.3);
      const controller = new AbortController();
      let done = false;
      const write = stdin.write(part, { offset: BigInt(from), signal: controller.signal }).then(
        (accepted) => {
          done = true;
          if (!lost) sure = Math.max(sure, Number(accepted));
        },
        (error: { code?: string }) => {
          done = true;
          if (error.code === 'failed_precondition') refused = true;
          else assert.equal(error.code, 'cancelled', `a write of [${from}, ${from + part.length}) failed: ${error.code}`);
        },
      );
      for (let i = 0; i < 400 && !done; i++) {
        if (leavesAfter !== undefined && store.read.length >= leavesAfter) store.readerGone = true;
        if (random.chance(0.7)) store.take(random.below(60));
        store.poll();
        if (lost && random.chance(0.05)) controller.abort({ code: 'cancelled' });
        await new Promise<void>((resolve) => setImmediate(resolve));
        assert.ok(stdin.delivered <= stdin.accepted && stdin.accepted - stdin.delivered <= BigInt(limit), 'stdin is bounded');
      }
      assert.ok(done, 'a write is stuck');
      await write;
    }
    assert.equal(refused, leavesAfter !== undefined && store.readerGone, 'only a reader that has gone refuses');
    if (!refused) {
      stdin.close();
      for (let i = 0; i < 400; i++) {
        store.take(50);
        store.poll();
      }
      assert.ok(store.closed, 'the end of input reaches the process');
      assert.ok(Buffer.from(store.read).equals(all), 'the process read exactly what was written, once');
    }
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}
