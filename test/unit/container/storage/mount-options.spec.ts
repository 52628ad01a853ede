import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseMountOptions, takeOption } from '../../../../agent/container/storage/mount-options.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { MS } from '../../../../native/index.ts';

describe('mount options', () => {
  const cases: { options: string[]; flags?: number; propagation?: number[]; data?: string }[] = [
    { options: [] },
    { options: ['defaults', 'rw', ''] },
    { options: ['ro', 'nosuid', 'nodev', 'noexec'], flags: MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC },
    { options: ['nosuid,nodev', 'size=64m,mode=1777'], flags: MS.NOSUID | MS.NODEV, data: 'size=64m,mode=1777' },
    { options: ['ro', 'rw'] },
    { options: ['rw', 'ro'], flags: MS.RDONLY },
    { options: ['rbind', 'rprivate', 'shared'], flags: MS.BIND | MS.REC, propagation: [MS.PRIVATE | MS.REC, MS.SHARED] },
    { options: ['lowerdir=/a:/b', 'index=off'], data: 'lowerdir=/a:/b,index=off' },
    { options: ['context="a,b"', 'lowerdir=/x\\,y'], data: 'context="a,b",lowerdir=/x\\,y' },
    { options: ['constructor', '__proto__'], data: 'constructor,__proto__' },
  ];
  for (const { options, flags = 0, propagation = [], data = '' } of cases) {
    it(`are taken apart: ${JSON.stringify(options)}`, () =>
      assert.deepEqual(parseMountOptions(options), { flags, propagation, data }));
  }

  it('keep every word they do not know, in order, for the file system', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z]{3,8}=[a-z0-9:]{1,9}$/), { maxLength: 8 }), (options) => {
        assert.deepEqual(parseMountOptions(options), { flags: 0, propagation: [], data: options.join(',') });
      }),
    );
  });

  it('are refused above one page, and with a NUL', () => {
    for (const option of [`lowerdir=${'x'.repeat(4096)}`, 'a=\0']) {
      assert.throws(
        () => parseMountOptions([option]),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'options',
      );
    }
  });

  it('give up one by its key, the last of several', () => {
    assert.deepEqual(takeOption(['a=1', 'fsgid=1', 'b', 'fsgid=2'], 'fsgid'), { value: '2', rest: ['a=1', 'b'] });
    assert.deepEqual(takeOption(['fsgidx=1'], 'fsgid'), { value: undefined, rest: ['fsgidx=1'] });
  });
});
