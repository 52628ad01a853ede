// Whatever JavaScript passes: a TypeError that names the argument, and never a crash or a half-done call.
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { native } from '../../../native/index.ts';
import { openFds } from './fixture.ts';
import { type Kind, promising, verbs, withoutArguments } from './verbs.ts';

const angry = {
  valueOf() {
    throw new Error('valueOf was called');
  },
  toString() {
    throw new Error('toString was called');
  },
};
const never = fc.constantFrom<unknown>(
  null,
  true,
  Symbol('x'),
  {},
  [],
  [1],
  () => 1,
  angry,
  new Date(),
  new Map(),
  /x/,
  Number.NaN,
);

/** For each kind of argument, values that are not of it. undefined stands for an argument left out. */
const wrong: Record<Kind, fc.Arbitrary<unknown>> = {
  fd: fc.oneof(
    never,
    fc.string(),
    fc.bigInt(),
    fc.constantFrom(undefined, -1, 1.5, 2 ** 31, Number.POSITIVE_INFINITY, -(2 ** 53)),
  ),
  int32: fc.oneof(never, fc.string(), fc.bigInt(), fc.constantFrom(undefined, 0.1, 2 ** 31, -(2 ** 31) - 1)),
  uint32: fc.oneof(never, fc.string(), fc.bigInt(), fc.constantFrom(undefined, -1, 0.1, 2 ** 32, Number.NEGATIVE_INFINITY)),
  uint16: fc.oneof(never, fc.string(), fc.bigInt(), fc.constantFrom(undefined, -1, 0.1, 2 ** 16)),
  bytes: fc.oneof(never, fc.string(), fc.bigInt(), fc.constantFrom(undefined, 0, -1, 2 ** 31)),
  bigint: fc.oneof(never, fc.string(), fc.double(), fc.constantFrom(undefined, 2n ** 63n, -(2n ** 63n) - 1n, 2n ** 200n)),
  text: fc.oneof(never, fc.double(), fc.bigInt(), fc.constantFrom(undefined, 'a\0b', '\0')),
  texts: fc.oneof(
    never.filter((v) => !Array.isArray(v) || v.length > 0),
    fc.string(),
    fc.constantFrom(undefined, [1], ['a', null], ['a\0'], Array(3), { length: 1, 0: 'a' }),
  ),
  ints: fc.oneof(
    never.filter((v) => !Array.isArray(v)),
    fc.string(),
    fc.constantFrom(undefined, [-2], [1.5], ['1'], Array(3), new Int32Array(2)),
  ),
  callback: fc.oneof(
    never.filter((v) => typeof v !== 'function'),
    fc.string(),
    fc.double(),
    fc.constantFrom(undefined),
  ),
  data: fc.oneof(
    never,
    fc.string(),
    fc.constantFrom(undefined, 'text', new Uint16Array(4), new DataView(new ArrayBuffer(4)), new ArrayBuffer(4)),
  ),
  object: fc.oneof(fc.constantFrom<unknown>(undefined, null, true, Symbol('x'), Number.NaN), fc.string(), fc.double()),
};

const fields: Record<string, Kind> = {
  file: 'text',
  args: 'texts',
  env: 'texts',
  fds: 'ints',
  cwd: 'text',
  newSession: 'callback',
};
const goodSpec = { file: '/bin/true', args: ['true'], env: [], fds: [] };

describe('native arguments', () => {
  it('covers every verb the addon exports', () => {
    assert.deepEqual(Object.keys(native()).sort(), [...Object.keys(verbs), ...withoutArguments].sort());
  });

  for (const [verb, parameters] of Object.entries(verbs)) {
    const call = (args: unknown[]) => (native() as unknown as Record<string, (...args: unknown[]) => unknown>)[verb]!(...args);
    parameters.forEach(([name, kind], at) => {
      it(`${verb} refuses a "${name}" that is no ${kind}`, async () => {
        const before = openFds().size;
        await fc.assert(
          fc.asyncProperty(wrong[kind], async (value) => {
            if ((name === 'allowedCid' || verb === 'socketIn') && value === undefined) return; // means any, or ours
            const args = parameters.map(([, , right]) => right).with(at, value);
            const refusal = {
              name: 'TypeError',
              code: 'ERR_INVALID_ARG_VALUE',
              message: new RegExp(`^The "${name}(\\[\\d\\])?" argument must be `),
            };
            if (promising.has(verb)) await assert.rejects(call(args) as Promise<unknown>, refusal);
            else assert.throws(() => call(args), refusal);
          }),
          { numRuns: 40 },
        );
        assert.equal(openFds().size, before);
      });
    });
  }

  for (const [field, kind] of Object.entries(fields)) {
    it(`spawn refuses a spec whose "${field}" is wrong`, async () => {
      await fc.assert(
        fc.asyncProperty(wrong[kind], async (value) => {
          if (value === undefined && (field === 'cwd' || field === 'newSession')) return;
          if (field === 'newSession' && typeof value === 'boolean') return;
          const spec = { ...goodSpec, [field]: value } as never;
          assert.throws(() => native().spawn(spec), {
            name: 'TypeError',
            message: new RegExp(`^The "${field}(\\[\\d\\])?" argument`),
          });
        }),
        { numRuns: 60 },
      );
    });
  }

  it('spawn refuses a relative program, no arguments at all, and more fds or strings than its bounds', () => {
    const cases: [object, RegExp][] = [
      [{ file: 'true' }, /"file" argument must be an absolute path/],
      [{ file: '' }, /"file"/],
      [{ args: [] }, /"args"/],
      [{ cwd: '' }, /"cwd"/],
      [{ fds: Array(257).fill(-1) }, /"fds" argument must be an array of at most 256/],
      [{ args: Array(65_537).fill('') }, /"args" argument must be an array of at most 65536/],
      [{ env: new Array(2 ** 32 - 1) }, /"env"/],
    ];
    for (const [change, message] of cases) {
      assert.throws(() => native().spawn({ ...goodSpec, ...change } as never), { name: 'TypeError', message });
    }
  });
});
