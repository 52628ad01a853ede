// A program as a client asks for it, for crun and for the launcher.
import assert from 'node:assert/strict';
import type { RuntimeSpec } from '../../../agent/container/spec/types.ts';
import { checkProgram, type Program, toLaunchSpec, toProcessSpec } from '../../../agent/sandbox/program.ts';

const PLAIN: Program = { args: ['true'], env: [], cwd: '', terminal: false, rlimits: [], noNewPrivileges: false };
const NET_ADMIN = ['CAP_NET_ADMIN'];
const OWN = { bounding: NET_ADMIN, effective: NET_ADMIN, permitted: NET_ADMIN, inheritable: [], ambient: [] };
const CONTAINER = {
  process: {
    user: { uid: 7, gid: 8 },
    args: ['init'],
    env: ['PATH=/bin', 'A=1'],
    cwd: '/work',
    capabilities: OWN,
    noNewPrivileges: true,
    oomScoreAdj: 100,
  },
} as unknown as RuntimeSpec;

describe('a program in a container', () => {
  it('is as the init process is where it says nothing itself', () => {
    const { user, env, cwd, capabilities, noNewPrivileges, oomScoreAdj } = toProcessSpec(PLAIN, CONTAINER);
    assert.deepEqual(
      { user, env, cwd, capabilities, noNewPrivileges, oomScoreAdj },
      {
        user: { uid: 7, gid: 8 },
        env: ['PATH=/bin', 'A=1'],
        cwd: '/work',
        capabilities: OWN,
        noNewPrivileges: true,
        oomScoreAdj: 100,
      },
    );
  });

  it('adds to the environment; the last of equal keys counts', () => {
    const { env } = toProcessSpec({ ...PLAIN, env: ['A=2', 'B=3', 'A=4'] }, CONTAINER);
    assert.deepEqual(env, ['PATH=/bin', 'A=4', 'B=3']);
  });

  it('has the capabilities it names in three sets, and none inherited', () => {
    const { capabilities } = toProcessSpec({ ...PLAIN, capabilities: ['CAP_KILL'] }, CONTAINER);
    assert.deepEqual(
      [capabilities!.effective, capabilities!.bounding, capabilities!.inheritable],
      [['CAP_KILL'], ['CAP_KILL'], []],
    );
  });
});

describe('a program of the guest', () => {
  it('is root in / with a PATH unless it says otherwise', () => {
    const { uid, gid, groups, cwd, umask, env, capabilities } = toLaunchSpec(PLAIN);
    assert.deepEqual([uid, gid, groups, cwd, umask, capabilities], [0, 0, [], '/', 0o022, undefined]);
    assert.ok(env.some((entry) => entry.startsWith('PATH=')));
  });

  it('has capabilities and limits by the numbers of the kernel', () => {
    const spec = toLaunchSpec({
      ...PLAIN,
      capabilities: ['CAP_CHOWN', 'CAP_CHECKPOINT_RESTORE'],
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1n, hard: 2n }],
    });
    assert.equal(spec.capabilities, 1n | (1n << 40n));
    assert.deepEqual(spec.limits, [{ kind: 7, soft: 1n, hard: 2n }]);
  });
});

describe('a program that makes no sense', () => {
  const cases: [Partial<Program>, string][] = [
    [{ args: [] }, 'program.args'],
    [{ args: ['a\0b'] }, 'program'],
    [{ env: ['=x'] }, 'program.env'],
    [{ cwd: 'here' }, 'program.cwd'],
    [{ user: { uid: 0xffffffff, gid: 0, additionalGids: [] } }, 'program.user'],
    [{ user: { uid: 0, gid: 0, additionalGids: [], umask: 0o1000 } }, 'program.user.umask'],
    [{ size: { rows: 65536, columns: 1 } }, 'program.size'],
    [{ capabilities: ['CAP_NO'] }, 'program.capabilities'],
    [{ rlimits: [{ type: 'RLIMIT_NOFILE', soft: 2n, hard: 1n }] }, 'program.rlimits'],
    [{ oomScoreAdj: 1001 }, 'program.oom_score_adj'],
  ];
  for (const [wrong, field] of cases) {
    it(`is refused by the name of ${field}`, () => {
      assert.throws(() => checkProgram({ ...PLAIN, ...wrong }), { code: 'invalid_argument', fields: { field } });
    });
  }
});
