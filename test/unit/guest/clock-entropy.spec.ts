import assert from 'node:assert/strict';
import { hasCode } from '../../../agent/errors.ts';
import { setClock } from '../../../agent/guest/clock.ts';
import { addEntropy } from '../../../agent/guest/entropy.ts';

const refused = (code: string) => () => {
  throw Object.assign(new Error(`${code}: refused`), { code });
};

describe("the guest's clock", () => {
  it('is set to the second and microsecond given', () => {
    const set: unknown[] = [];
    setClock(1_700_000_000n, 999_999n, { setTimeOfDay: (...time) => void set.push(time) });
    assert.deepEqual(set, [[1_700_000_000n, 999_999]]);
  });

  for (const [seconds, microseconds, field] of [
    [-1n, 0n, 'Sec'],
    [0n, -1n, 'Usec'],
    [0n, 1_000_000n, 'Usec'],
    [0n, 2n ** 62n, 'Usec'],
  ] as const) {
    it(`refuses ${seconds} s and ${microseconds} us by the field ${field}`, () => {
      assert.throws(
        () => setClock(seconds, microseconds, { setTimeOfDay: () => assert.fail('set') }),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === field,
      );
    });
  }

  it("tells the kernel's refusal", () => {
    assert.throws(
      () => setClock(1n, 0n, { setTimeOfDay: refused('EPERM') }),
      (error) => hasCode(error, 'permission_denied') && /clock/.test(error.message),
    );
  });
});

describe('entropy from the host', () => {
  it('is given to the kernel as it is', async () => {
    const given: Uint8Array[] = [];
    await addEntropy(Buffer.from('seed'), { addEntropy: async (data) => void given.push(data) });
    assert.deepEqual(given, [Buffer.from('seed')]);
  });

  it('is missed when there is none, and refused when there is too much', async () => {
    const door = { addEntropy: async () => assert.fail('given') };
    await assert.rejects(
      addEntropy(new Uint8Array(), door),
      (error) => hasCode(error, 'internal') && error.message === 'missing entropy data',
    );
    await assert.rejects(addEntropy(new Uint8Array(65_537), door), (error) => hasCode(error, 'invalid_argument'));
  });

  it("tells the kernel's refusal", async () => {
    await assert.rejects(addEntropy(Buffer.from('x'), { addEntropy: async () => refused('EPERM')() }), (error) =>
      hasCode(error, 'permission_denied'),
    );
  });
});
