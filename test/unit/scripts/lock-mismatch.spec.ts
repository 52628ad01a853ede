import assert from 'node:assert/strict';
import { lockMismatch } from '../../../scripts/bootstrap/npm.mjs';

describe('the comparison of node_modules with package-lock.json', () => {
  const locked = {
    packages: {
      '': { version: '0.1.0' },
      'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
      'node_modules/b-linux': { version: '2.0.0', integrity: 'sha512-b', optional: true },
      'node_modules/b-darwin': { version: '2.0.0', integrity: 'sha512-c', optional: true },
    },
  };
  const a = { version: '1.0.0', integrity: 'sha512-a' };

  it('accepts what npm installed, without the optional packages of other platforms', () => {
    const installed = { packages: { 'node_modules/a': a, 'node_modules/b-linux': { version: '2.0.0', integrity: 'sha512-b' } } };
    assert.equal(lockMismatch(locked, installed), undefined);
  });

  for (const { what, installed, reason } of [
    { what: 'an absent node_modules', installed: {}, reason: /node_modules\/a is missing/ },
    {
      what: 'another version',
      installed: { packages: { 'node_modules/a': { ...a, version: '1.0.1' } } },
      reason: /is not 1\.0\.0/,
    },
    { what: 'another tarball', installed: { packages: { 'node_modules/a': { ...a, integrity: 'sha512-x' } } }, reason: /is not/ },
    {
      what: 'a package too many',
      installed: { packages: { 'node_modules/a': a, 'node_modules/z': a } },
      reason: /does not name/,
    },
    {
      what: 'an optional package of another version',
      installed: { packages: { 'node_modules/a': a, 'node_modules/b-linux': { version: '1.9.0', integrity: 'sha512-b' } } },
      reason: /b-linux is not 2\.0\.0/,
    },
  ]) {
    it(`refuses ${what}`, () => assert.match(lockMismatch(locked, installed) ?? '', reason));
  }
});
