// The runner of the conformance table: what it does with values, and that it can say no.
import assert from 'node:assert/strict';
import { expand, type Plain } from '../../conformance/runner/expand.ts';
import { mismatches } from '../../conformance/runner/match.ts';
import { reportOf } from '../../conformance/runner/report.ts';
import { change } from '../../conformance/runner/trace.ts';

describe('the values of a conformance case', () => {
  const names = new Map<string, Plain>([
    ['id', 'c1'],
    ['answer', { data: ['x', 7] }],
  ]);
  const templates = { base: { a: { b: 1, c: [1, 2] }, at: '/run/%{id}' }, words: ['a', 'b'] };

  it('take names inside texts, and whole values where a text is nothing but a name', () => {
    assert.deepEqual(expand({ at: 'x-%{id}', all: '%{answer.data}' }, names, templates), { at: 'x-c1', all: ['x', 7] });
  });

  it('are laid over a template member by member, lists whole, null taking away', () => {
    assert.deepEqual(expand({ $like: 'base', a: { c: [3] }, d: 4 }, names, templates), {
      a: { b: 1, c: [3] },
      at: '/run/c1',
      d: 4,
    });
    assert.deepEqual(expand({ $like: 'base', a: null }, names, templates), { at: '/run/c1' });
    assert.deepEqual(expand({ $like: 'words' }, names, templates), ['a', 'b']);
  });

  it('fail for a name or a template that there is not', () => {
    assert.throws(() => expand('%{no}', names, templates), /%\{no\} has no value/);
    assert.throws(() => expand({ $like: 'no' }, names, templates), /no template no/);
  });
});

describe('the matcher of the conformance runner', () => {
  const reply = { n: 3, big: '18446744073709551615', data: Buffer.from('abc'), list: [{ a: 1 }, { a: 2, b: 3 }] };

  for (const [title, wanted, fits] of [
    ['equal values', { n: 3, big: '18446744073709551615' }, true],
    ['another number', { n: 4 }, false],
    ['bytes by their text', { data: 'abc' }, true],
    ['other bytes', { data: 'abd' }, false],
    ['a pattern', { data: { $match: '^a.c$' } }, true],
    ['a pattern that is not there', { data: { $match: 'x' } }, false],
    ['a range', { n: { $from: 1, $to: 3 } }, true],
    ['a range that ends before', { n: { $to: 2 } }, false],
    ['members of a list', { list: { $has: [{ b: 3 }] } }, true],
    ['a member that is not in it', { list: { $has: [{ a: 9 }] } }, false],
    ['what must not be', { list: { $not: { $has: [{ a: 2 }] } } }, false],
    ['what is not', { n: { $not: 4 } }, true],
    ['a list of another length', { list: [{ a: 1 }] }, false],
    ['a member that does not exist', { nothing: 0 }, false],
    ['anything', { n: { $any: true } }, true],
    ['anything where there is nothing', { nothing: { $any: true } }, false],
  ] as const) {
    it(`${fits ? 'takes' : 'does not take'} ${title}`, () => {
      assert.equal(mismatches(reply, wanted).length === 0, fits);
    });
  }
});

describe('what a conformance case leaves', () => {
  it('is told line by line, with how many', () => {
    const before = new Map(Object.entries({ 'mount /a': 1, fd: 20 }));
    const after = new Map(Object.entries({ 'mount /b': 1, fd: 23 }));
    assert.deepEqual(change(before, after), { came: ['fd (3 times)', 'mount /b'], went: ['mount /a'] });
  });
});

describe('the report of a conformance run', () => {
  it('counts by RPC and protocol, and names what did not hold', () => {
    const text = reportOf([
      { id: 'check/a', rpc: 'Check', kind: 'normal', protocol: 'ttrpc', outcome: 'held' },
      { id: 'check/b', rpc: 'Check', kind: 'edge', protocol: 'ttrpc', outcome: 'failed' },
      { id: 'check/a', rpc: 'Check', kind: 'normal', protocol: 'grpc', outcome: 'not run', text: 'no guest' },
    ]);
    assert.match(text, /^Check +1 +1 +0 +1\/2 +0\/1$/m);
    assert.match(text, /^failed: check\/b over ttrpc$/m);
    assert.match(text, /^not run: check\/a over grpc: no guest$/m);
  });
});
