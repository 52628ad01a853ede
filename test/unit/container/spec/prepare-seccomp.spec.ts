import assert from 'node:assert/strict';
import { prepareSeccomp } from '../../../../agent/container/spec/prepare-seccomp.ts';
import type { SeccompRule, SeccompSpec } from '../../../../agent/container/spec/seccomp.ts';

const filter = (rule: Partial<SeccompRule>): SeccompSpec => ({
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_ERRNO', ...rule }],
});
/** What crun 1.28 takes its checksum of: no errno, and nothing between one text and the next. */
const checksummed = (spec: SeccompSpec | undefined) =>
  [
    spec?.defaultAction,
    ...(spec?.syscalls ?? []).flatMap(({ names, action, args }) => [action, ...names, args?.map(({ op }) => op)]),
  ].join('');

describe('a system call filter for crun', () => {
  for (const [what, one, other] of [
    ['the errno', { errnoRet: 38 }, { errnoRet: 13 }],
    ['whether there is an errno', { errnoRet: 0 }, {}],
    ['where a name ends', { names: ['ab', 'c'] }, { names: ['a', 'bc'] }],
  ] as const) {
    it(`is told apart from one that differs only in ${what}`, () => {
      const [a, b] = [filter(one as Partial<SeccompRule>), filter(other as Partial<SeccompRule>)];
      assert.equal(checksummed(a), checksummed(b), 'the case is one that crun mixes up');
      assert.notEqual(checksummed(prepareSeccomp(a)), checksummed(prepareSeccomp(b)));
    });
  }

  it('does what it did: what is added does what is done anyway', () => {
    const { syscalls, defaultAction } = prepareSeccomp(filter({}))!;
    assert.deepEqual(syscalls?.slice(0, 1), filter({}).syscalls);
    assert.equal(syscalls?.length, 2);
    assert.equal(syscalls?.[1]?.action, defaultAction);
  });

  it('is none where none is asked for', () => assert.equal(prepareSeccomp(undefined), undefined));
});
