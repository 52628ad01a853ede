import assert from 'node:assert/strict';
import { hasCode } from '../../../agent/errors.ts';
import { Gate } from '../../../agent/sandbox/gate.ts';

/** Work that ends when told, and a log of what began and ended. */
function bench() {
  const gate = new Gate();
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (name: string) => async () => {
    log.push(`+${name}`);
    await new Promise<void>((resolve) => ends.set(name, resolve));
    log.push(`-${name}`);
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const end = async (name: string) => {
    ends.get(name)?.();
    await settle();
  };
  return { gate, log, work, end, settle };
}

describe('the gate of a container', () => {
  it('lets shared work run side by side', async () => {
    const { gate, log, work, settle } = bench();
    void gate.shared(work('a'));
    void gate.shared(work('b'));
    await settle();
    assert.deepEqual(log, ['+a', '+b']);
  });

  it('runs exclusive work alone, after what came before it and before what came later', async () => {
    const { gate, log, work, end, settle } = bench();
    void gate.shared(work('exec'));
    void gate.exclusive(work('remove'));
    void gate.shared(work('late'));
    await settle();
    assert.deepEqual(log, ['+exec']);
    await end('exec');
    assert.deepEqual(log, ['+exec', '-exec', '+remove']);
    await end('remove');
    assert.deepEqual(log, ['+exec', '-exec', '+remove', '-remove', '+late']);
  });

  it('goes on after work that fails, and hands the failure on', async () => {
    const { gate, log, work, settle } = bench();
    await assert.rejects(
      gate.exclusive(async () => {
        throw new Error('broken');
      }),
      /broken/,
    );
    void gate.exclusive(work('next'));
    await settle();
    assert.deepEqual(log, ['+next']);
  });

  it('refuses more waiting calls than its bound, naming the limit', async () => {
    const { gate, work } = bench();
    void gate.exclusive(work('stuck'));
    for (let call = 0; call < 256; call++) void gate.shared(work(`waiting ${call}`));
    await assert.rejects(gate.shared(work('one too many')), (error) => hasCode(error, 'resource_exhausted'));
  });
});
