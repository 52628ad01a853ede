import assert from 'node:assert/strict';
import fc from 'fast-check';
import { glob, MAX_MATCHED_CHARS } from '../../../agent/policy/glob.ts';

describe('a pattern of a policy', () => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['web', 'web', true],
    ['web', 'web-1', false],
    ['web-*', 'web-', true],
    ['web-*', 'web-1/x', false],
    ['web-**', 'web-1/x', true],
    ['/a/*/c', '/a/b/c', true],
    ['/a/*/c', '/a/b/b/c', false],
    ['/a/**/c', '/a/b/b/c', true],
    ['?at', 'cat', true],
    ['?at', '/at', false],
    ['*', '', true],
    ['?', '', false],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
    ['**/etc/*.conf', '/x/etc/y.conf', true],
    ['**/etc/*.conf', '/x/etc/y/z.conf', false],
    ['*a*b', 'xaxab', true],
    ['*/**', 'a/', true],
    ['', '', true],
    ['', 'a', false],
  ];
  for (const [pattern, text, wanted] of rows) {
    it(`${JSON.stringify(pattern)} ${wanted ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
      assert.equal(glob(pattern)(text), wanted);
    });
  }

  it('agrees with a regular expression that says the same', () => {
    const part = fc.constantFrom('a', 'b', '/', '*', '**', '?', '.');
    const text = fc.array(fc.constantFrom('a', 'b', '/', '.'), { maxLength: 8 }).map((chars) => chars.join(''));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), text, (parts, value) => {
        const pattern = parts.join('');
        const source = pattern.replace(
          /\*\*|[*?.]/g,
          (found) => ({ '**': '.*', '*': '[^/]*', '?': '[^/]', '.': '\\.' })[found] as string,
        );
        assert.equal(glob(pattern)(value), new RegExp(`^${source}$`, 's').test(value));
      }),
      { numRuns: 3000 },
    );
  });

  it('takes no longer for a text made to mislead it', () => {
    const matches = glob(`${'*a'.repeat(30)}b`);
    const startedAt = performance.now();
    assert.equal(matches('a'.repeat(20_000)), false);
    assert.ok(performance.now() - startedAt < 2_000, `${performance.now() - startedAt} ms`);
  });

  it('does not judge a text beyond its bound, unless it needs no walk', () => {
    const long = 'a'.repeat(MAX_MATCHED_CHARS + 1);
    assert.throws(() => glob('*a?')(long), /too long for the pattern/);
    assert.equal(glob('a**')(long), true);
    assert.equal(glob('b')(long), false);
  });
});
