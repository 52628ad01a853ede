import assert from 'node:assert/strict';
import { inheritOptions } from '../../../agent/container/inherited-options.ts';
import type { MountEntry } from '../../../agent/guest/mount-table.ts';

const entry = (target: string, ...options: string[]): MountEntry => ({ target, fstype: 'x', source: 'x', options });
const TABLE = [
  entry('/', 'ro', 'relatime'),
  entry('/run', 'rw', 'nosuid', 'nodev'),
  entry('/run/share', 'rw', 'nodev'),
  entry('/run/share/ro', 'rw'),
  entry('/run/share/ro', 'ro', 'nosuid', 'nodev', 'noexec'),
];
const bind = (source: string, ...options: string[]) => ({ destination: '/x', type: 'bind', source, options });
const inherited = (source: string, ...options: string[]) => inheritOptions([bind(source, ...options)], TABLE)[0]!.options;

describe('a bind mount of a container', () => {
  it('keeps the restrictions of the innermost and newest mount that its source lies on', () => {
    assert.deepEqual(inherited('/run/share/x', 'rbind'), ['rbind', 'nodev']);
    assert.deepEqual(inherited('/run/share/ro/x', 'rbind'), ['rbind', 'ro', 'nosuid', 'nodev', 'noexec']);
    assert.deepEqual(inherited('/run/shared', 'rbind'), ['rbind', 'nosuid', 'nodev']);
  });

  it('can lift none of them, and has its own once', () => {
    assert.deepEqual(inherited('/run/share/ro', 'rbind', 'rw', 'noexec'), ['rbind', 'rw', 'noexec', 'ro', 'nosuid', 'nodev']);
  });

  it('is all that is changed', () => {
    const others = [
      { destination: '/t', type: 'tmpfs', source: '/run/share', options: ['size=1m'] },
      { destination: '/p', type: 'proc' },
    ];
    assert.deepEqual(inheritOptions(others, TABLE), others);
  });
});
