import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isAgentError } from '../../../../agent/errors.ts';
import {
  type BundleFacts,
  type BundleHost,
  checkBundle,
  parseBundleFacts,
} from '../../../../agent/guest/upgrade/bundle-facts.ts';

const FACTS: BundleFacts = { version: '0.2.0', commit: 'abc', journal: 3, keeper: 1, node: 24, addon: ['spawn', 'close'] };
const HOST: BundleHost = { journal: 3, keeper: 1, node: 24, hasVerb: (name) => ['spawn', 'close', 'more'].includes(name) };

describe('a bundle of the agent, by what it says of itself,', () => {
  it('is taken where all it needs is there', () => {
    checkBundle(FACTS, HOST);
    checkBundle({ ...FACTS, journal: 4 }, HOST);
  });

  const refusals: [string, Partial<BundleFacts>, string, RegExp][] = [
    [
      'reads older journals only',
      { journal: 2 },
      'journal',
      /0\.2\.0 \(abc\) reads journals up to schema 2, .* has 3: all that runs would be lost/,
    ],
    ['speaks otherwise to berth-init', { keeper: 2 }, 'keeper', /version 2 to berth-init/],
    ['is for another Node', { node: 26 }, 'node', /built for Node 26, and this guest has 24/],
    ['calls what the addon does not have', { addon: ['spawn', 'teleport'] }, 'addon', /does not have: teleport$/],
  ];
  for (const [what, more, field, said] of refusals) {
    it(`is refused when it ${what}`, () => {
      assert.throws(
        () => checkBundle({ ...FACTS, ...more }, HOST),
        (error) => {
          assert.ok(isAgentError(error));
          assert.deepEqual([error.code, error.fields?.['field']], ['failed_precondition', `bundle.${field}`]);
          assert.match(error.message, said);
          return true;
        },
      );
    });
  }

  it('is read from its package.json', () => {
    const { version, ...berth } = FACTS;
    assert.deepEqual(parseBundleFacts(JSON.stringify({ type: 'module', version, berth })), FACTS);
  });

  it('that is anything else is invalid, and never an error of another kind', () => {
    const { version, ...berth } = FACTS;
    const refused = (text: string) => assert.throws(() => parseBundleFacts(text), { code: 'invalid_argument' }, text);
    for (const text of ['', 'null', '[]', '{"type":"module"}', JSON.stringify({ berth }), JSON.stringify({ version, berth: [] })])
      refused(text);
    for (const key of Object.keys(berth)) refused(JSON.stringify({ version, berth: { ...berth, [key]: -1 } }));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.dictionary(fc.constantFrom('version', 'berth'), fc.jsonValue()).map((v) => JSON.stringify(v)),
        ),
        (text) => {
          try {
            parseBundleFacts(text);
          } catch (error) {
            assert.ok(isAgentError(error) && error.code === 'invalid_argument');
          }
        },
      ),
    );
  });
});
