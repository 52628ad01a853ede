import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseSpec, stringifySpec } from '../../../../agent/container/spec/json.ts';
import { hasCode } from '../../../../agent/errors.ts';

describe('a spec as JSON', () => {
  it('writes every 64-bit integer as its exact decimal', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }), (limit) => {
        assert.equal(stringifySpec({ limit }), `{"limit":${limit.toString()}}`);
      }),
    );
  });

  it('reads them back as they were, small and large', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }), fc.nat(), (limit, uid) => {
        const value = { limit, uid, list: [{ soft: limit }] };
        assert.deepEqual(parseSpec(stringifySpec(value)), value);
      }),
      {
        examples: [
          [0n, 0],
          [(1n << 53n) + 1n, 1],
          [(1n << 64n) - 1n, 2],
        ],
      },
    );
  });

  it('writes what JSON.stringify would write, for everything that has no bigint, no undefined and no empty object', () => {
    const leaf = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.boolean(),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constant(null),
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, leaf, tie('list'), tie('object')),
      list: fc.array(tie('value'), { maxLength: 4 }),
      object: fc.dictionary(fc.string(), tie('value'), { minKeys: 1, maxKeys: 4 }),
    }));
    fc.assert(fc.property(value, (any) => assert.deepEqual(JSON.parse(stringifySpec(any)), JSON.parse(JSON.stringify(any)))));
  });

  it('leaves out undefined and empty objects, and keeps empty lists and strings', () => {
    assert.equal(
      stringifySpec({ a: undefined, b: {}, c: { d: undefined }, e: [], f: '', g: 0, h: false }),
      '{"e":[],"f":"","g":0,"h":false}',
    );
  });

  it('gives the same text for the same value', () => {
    const value = { b: 1n, a: { d: [1, 2], c: 'x' } };
    assert.equal(stringifySpec(value), '{"b":1,"a":{"d":[1,2],"c":"x"}}');
    assert.equal(stringifySpec(structuredClone(value)), stringifySpec(value));
  });

  it('refuses what JSON cannot say', () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, () => {}, Symbol('s'), undefined, cycle]) {
      assert.throws(
        () => stringifySpec(value),
        (error) => hasCode(error, 'internal'),
      );
    }
  });

  it('refuses text that is no JSON', () => {
    assert.throws(
      () => parseSpec('{"a":'),
      (error) => hasCode(error, 'invalid_argument'),
    );
  });
});
