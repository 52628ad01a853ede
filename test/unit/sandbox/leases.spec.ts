// Leases under a simulated clock.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { startLease } from '../../../agent/sandbox/leases.ts';
import { SandboxLease } from '../../../agent/sandbox/sandbox-lease.ts';
import { SimulatedClock } from '../../support/simulated-clock.ts';

describe('a lease', () => {
  let clock: SimulatedClock;
  let expired: number;
  const lease = (ttl: number) => startLease(ttl, () => expired++, clock);

  beforeEach(() => {
    clock = new SimulatedClock();
    expired = 0;
  });

  it('runs out once, when its time is over', () => {
    lease(1000);
    clock.advance(999);
    assert.equal(expired, 0);
    clock.advance(1);
    assert.equal(expired, 1);
    clock.advance(10_000);
    assert.equal(expired, 1);
    assert.equal(clock.pending, 0);
  });

  it('begins anew when it is renewed', () => {
    const it = lease(1000);
    clock.advance(900);
    it.renew();
    clock.advance(999);
    assert.equal(expired, 0);
    clock.advance(1);
    assert.equal(expired, 1);
  });

  it('does not run out while somebody is attached, and begins anew when the last has gone', () => {
    const it = lease(1000);
    const [first, second] = [it.attach(), it.attach()];
    clock.advance(5000);
    first();
    first();
    clock.advance(5000);
    assert.equal(it.expiresAt, undefined);
    second();
    assert.equal(it.expiresAt, 11_000);
    clock.advance(999);
    assert.equal(expired, 0);
    clock.advance(1);
    assert.equal(expired, 1);
  });

  it('takes another time when renewed with one, a shorter one too', () => {
    const it = lease(100_000);
    it.renew(50);
    clock.advance(50);
    assert.equal(expired, 1);
  });

  it('is over for good when it is cancelled', () => {
    const it = lease(1000);
    const leave = it.attach();
    it.cancel();
    leave();
    it.renew();
    clock.advance(100_000);
    assert.equal(expired, 0);
    assert.equal(clock.pending, 0);
  });

  it('outlives what a timer can count', () => {
    lease(2 ** 32);
    clock.advance(2 ** 32 - 1);
    assert.equal(expired, 0);
    clock.advance(1);
    assert.equal(expired, 1);
  });

  it('never runs out while attached, and exactly its time after the last renewal or leaving otherwise', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 300 }) }),
      fc.record({ kind: fc.constantFrom('attach' as const, 'leave' as const, 'renew' as const), ms: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const own = new SimulatedClock();
        let over: number | undefined;
        const it = startLease(
          100,
          () => {
            over = own.now();
          },
          own,
        );
        const attached: (() => void)[] = [];
        let touched = 0;
        for (const { kind, ms } of steps) {
          if (kind === 'attach') attached.push(it.attach());
          if (kind === 'renew') it.renew();
          const leave = kind === 'leave' ? attached.pop() : undefined;
          leave?.();
          if (kind === 'renew' || leave !== undefined) touched = own.now();
          if (kind !== 'wait') continue;
          const due = over ?? (attached.length === 0 && touched + 100 <= own.now() + ms ? touched + 100 : undefined);
          own.advance(ms);
          assert.equal(over, due);
        }
      }),
    );
  });
});

describe('the lease of the sandbox', () => {
  it('is asked for, renewed, given up, and bounded', () => {
    const clock = new SimulatedClock();
    let expired = 0;
    const lease = new SandboxLease(() => expired++, clock);
    assert.equal(lease.set(2000), 2000);
    clock.advance(1999);
    lease.set(5000);
    clock.advance(4999);
    assert.equal(lease.set(0), undefined);
    clock.advance(100_000);
    assert.equal(expired, 0);
    lease.set(1000);
    clock.advance(1000);
    assert.equal(expired, 1);
    for (const wrong of [1, 999, 86_400_001]) assert.throws(() => lease.set(wrong), { code: 'invalid_argument' });
  });
});
