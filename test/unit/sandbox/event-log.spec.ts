import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hasCode } from '../../../agent/errors.ts';
import { EventLog, type GuestEvent, MAX_EVENTS, type ReadEventsOptions } from '../../../agent/sandbox/event-log.ts';

const forever = new AbortController().signal;
const replay = (log: EventLog, options: Omit<ReadEventsOptions, 'signal' | 'replayOnly'>) =>
  Array.fromAsync(log.read({ ...options, replayOnly: true, signal: forever }));
const numbers = (events: readonly GuestEvent[]) => events.map(({ sequence }) => sequence);

function filled(count: number): EventLog {
  const log = new EventLog({ now: () => 7 });
  for (let i = 0; i < count; i++)
    log.append({ kind: i % 2 === 0 ? 'container.created' : 'process.exited', containerId: `c${i}` });
  return log;
}

describe('the log of events', () => {
  it('numbers events from 1 without a hole and tells when each happened', async () => {
    const events = await replay(filled(3), { from: 'start' });
    assert.deepEqual(numbers(events), [1n, 2n, 3n]);
    assert.deepEqual(events[0], { kind: 'container.created', containerId: 'c0', sequence: 1n, at: 7 });
  });

  it('goes on where a reader that comes back says', async () => {
    assert.deepEqual(numbers(await replay(filled(5), { from: 4n })), [4n, 5n]);
  });

  it('waits for what is to come and gives it to every reader', async () => {
    const log = filled(1);
    const readers = [1, 2].map(() => log.read({ from: 'end', signal: forever })[Symbol.asyncIterator]());
    const next = readers.map((reader) => reader.next());
    log.append({ kind: 'oom.killed' });
    for (const result of await Promise.all(next)) assert.equal(result.value?.sequence, 2n);
    await Promise.all(readers.map((reader) => reader.return?.(undefined)));
  });

  it('tells a reader that is too late once what it has missed, and goes on', async () => {
    const events = await replay(filled(MAX_EVENTS + 10), { from: 3n });
    assert.deepEqual(events[0]?.fields, { from: '3', to: '10' });
    assert.equal(events[0]?.kind, 'events.missed');
    assert.deepEqual(numbers(events.slice(1, 3)), [11n, 12n]);
    assert.equal(events.length, MAX_EVENTS + 1);
  });

  it('tells the same to a reader that lags while events come', async () => {
    const log = filled(1);
    const reader = log.read({ from: 'start', signal: forever })[Symbol.asyncIterator]();
    assert.equal((await reader.next()).value?.sequence, 1n);
    for (let i = 0; i < MAX_EVENTS + 5; i++) log.append({ kind: 'x.y' });
    assert.equal((await reader.next()).value?.kind, 'events.missed');
    assert.equal((await reader.next()).value?.sequence, 7n);
    await reader.return?.(undefined);
  });

  it('gives each reader exactly the numbers from its cursor on, whatever is appended in between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 5 }), { maxLength: 30 }), fc.nat({ max: 20 }), async (bursts, from) => {
        const log = filled(20);
        const reader = log.read({ from: BigInt(from + 1), signal: forever });
        const seen: bigint[] = [];
        for (const burst of bursts) {
          for (let i = 0; i < burst; i++) log.append({ kind: 'x.y' });
          while (seen.length === 0 ? from + 1 < log.next : seen.at(-1)! + 1n < log.next) {
            seen.push((await reader.next()).value!.sequence);
          }
        }
        assert.deepEqual(
          seen,
          seen.map((_, index) => BigInt(from + 1 + index)),
        );
      }),
    );
  });

  it('lets through whole kinds, families and containers', async () => {
    const log = filled(4);
    assert.deepEqual(numbers(await replay(log, { from: 'start', filter: { kinds: ['process.'] } })), [2n, 4n]);
    assert.deepEqual(numbers(await replay(log, { from: 'start', filter: { kinds: ['container.created'] } })), [1n, 3n]);
    assert.deepEqual(numbers(await replay(log, { from: 'start', filter: { containerIds: ['c3'] } })), [4n]);
  });

  it('refuses a cursor that no event has had', async () => {
    for (const from of [0n, 5n]) await assert.rejects(replay(filled(3), { from }), (error) => hasCode(error, 'out_of_range'));
  });

  it('ends a waiting reader with the reason of its signal and lets others have its place', async () => {
    const log = filled(0);
    for (let round = 0; round < 300; round++) {
      const controller = new AbortController();
      const reader = log.read({ from: 'end', signal: controller.signal })[Symbol.asyncIterator]();
      const waiting = reader.next();
      controller.abort(new Error('gone'));
      await assert.rejects(waiting, /gone/);
    }
  });

  it('bounds its readers', async () => {
    const log = filled(1);
    const readers = Array.from({ length: 256 }, () => log.read({ from: 'start', signal: forever })[Symbol.asyncIterator]());
    for (const reader of readers) await reader.next();
    await assert.rejects(replay(log, { from: 'start' }), (error) => hasCode(error, 'resource_exhausted'));
    for (const reader of readers) await reader.return?.(undefined);
    assert.equal((await replay(log, { from: 'start' })).length, 1);
  });
});
