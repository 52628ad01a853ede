import assert from 'node:assert/strict';
import type { Container } from '../../../agent/container/container.ts';
import { AgentError } from '../../../agent/errors.ts';
import { silentLogger } from '../../../agent/log.ts';
import { ContainerLifetimes } from '../../../agent/sandbox/container-lifetime.ts';
import type { ProcessClient, ProcessEntry } from '../../../agent/sandbox/process-entry.ts';
import { SimulatedClock } from '../../support/simulated-clock.ts';

const client = { id: 'c1', name: 'test', session: '', take: () => () => {} } satisfies ProcessClient;

describe('the lifetime of a container', () => {
  let clock: SimulatedClock;
  let removed: string[];
  let leave: Set<() => void>;
  let entry: Pick<ProcessEntry, 'lease'>;
  let lifetimes: ContainerLifetimes;
  let gone: PromiseWithResolvers<void>;
  let container: Container;

  beforeEach(() => {
    clock = new SimulatedClock();
    removed = [];
    leave = new Set();
    entry = { lease: undefined };
    gone = Promise.withResolvers<void>();
    container = fakeContainer('web', gone.promise);
    lifetimes = new ContainerLifetimes({
      sandbox: {
        removeContainer: async (id) => {
          removed.push(id);
          if (id === 'stuck') throw new AgentError('internal', 'no');
        },
      },
      processes: { get: () => entry as ProcessEntry },
      clients: {
        onGone: (_client, callback) => {
          leave.add(callback);
          return () => leave.delete(callback);
        },
      },
      clock,
      events: { append: () => {} },
      log: silentLogger,
    });
  });

  it('is without an end unless one was asked for', () => {
    lifetimes.watch(container, { kind: 'keep' }, client);
    clock.advance(1e9);
    assert.deepEqual([removed, leave.size, lifetimes.of(container).kind], [[], 0, 'keep']);
  });

  it('ends with its lease, which lasts as long as somebody renews it or is attached to its init process', () => {
    lifetimes.watch(container, { kind: 'lease', ttlMs: 1000 }, client);
    clock.advance(900);
    entry.lease?.renew();
    clock.advance(900);
    const detach = entry.lease?.attach();
    clock.advance(5000);
    assert.deepEqual(removed, []);
    detach?.();
    clock.advance(1000);
    assert.deepEqual(removed, ['web']);
  });

  it('ends with its client', () => {
    lifetimes.watch(container, { kind: 'connection' }, client);
    for (const callback of leave) callback();
    assert.deepEqual(removed, ['web']);
  });

  it('is over when the container is removed by somebody', async () => {
    lifetimes.watch(container, { kind: 'connection' }, client);
    lifetimes.watch({ ...container, id: 'db' } as Container, { kind: 'lease', ttlMs: 10 }, client);
    gone.resolve();
    await gone.promise;
    await Promise.resolve();
    clock.advance(1000);
    assert.deepEqual([removed, leave.size], [[], 0]);
  });

  it('is that of the first of two creates with one key', () => {
    lifetimes.watch(container, { kind: 'keep' }, client);
    lifetimes.watch(container, { kind: 'lease', ttlMs: 10 }, client);
    clock.advance(1000);
    assert.deepEqual(removed, []);
  });

  it('does not bring the agent down when the container cannot be removed', async () => {
    lifetimes.watch({ ...container, id: 'stuck' } as Container, { kind: 'lease', ttlMs: 10 }, client);
    clock.advance(10);
    await Promise.resolve();
    assert.deepEqual(removed, ['stuck']);
  });
});

function fakeContainer(id: string, removed: Promise<void>): Container {
  return { id, removed, record: { facts: { more: { key: '' } }, update: () => {} } } as unknown as Container;
}
