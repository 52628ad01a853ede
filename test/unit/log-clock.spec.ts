import assert from 'node:assert/strict';
import { createTimestamps } from '../../agent/log-clock.ts';

describe('the time stamp of a log line', () => {
  it('is RFC 3339 with nanoseconds in UTC', () => {
    assert.match(createTimestamps()(), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  });

  it('takes the part below a millisecond from the monotonic clock, so that lines sort', () => {
    const clock = { wall: 1_000, monotonic: 50 };
    const now = createTimestamps({ wallMs: () => clock.wall, monotonicMs: () => clock.monotonic });
    clock.monotonic += 0.25;
    assert.equal(now(), '1970-01-01T00:00:01.000250000Z');
    clock.monotonic += 1.5;
    clock.wall += 1;
    assert.equal(now(), '1970-01-01T00:00:01.001750000Z');
  });

  it('follows the wall clock when that is set', () => {
    const clock = { wall: 1_000, monotonic: 0 };
    const now = createTimestamps({ wallMs: () => clock.wall, monotonicMs: () => clock.monotonic });
    clock.wall = 1_764_000_000_000;
    assert.equal(now(), '2025-11-24T16:00:00.000000000Z');
    clock.wall = 2_000;
    assert.equal(now(), '1970-01-01T00:00:02.000000000Z');
  });
});
