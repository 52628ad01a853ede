// The life of a container: CreateContainer, StartContainer, RemoveContainer (kata-agent.md §3.3-3.5). What the spec may say is in
// container-spec.ts.
import type { ConformanceCase, Data } from '../case.ts';
import { malformed } from './malformed.ts';

const BUNDLE = '/run/kata-containers/%{id}';
const create = (id: string, change: Data): ConformanceCase['steps'][number] => ({
  call: 'CreateContainer',
  request: { $like: 'sleeper', ...(change as object) },
  fails: { code: 'INTERNAL', text: id },
});

export const containers: readonly ConformanceCase[] = [
  {
    id: 'create-container/is-there-and-does-not-run',
    rpc: 'CreateContainer',
    kind: 'normal',
    steps: [
      {
        call: 'CreateContainer',
        request: { $like: 'sleeper', OCI: { Process: { Args: ['sh', '-c', 'echo runs; exec sleep inf'] } } },
      },
      { call: 'ReadStdout', request: { container_id: '%{id}', exec_id: '', len: 10 }, later: 'out' },
      { pending: 'out' },
    ],
    leaves: [`mount ${BUNDLE}/rootfs`, `file ${BUNDLE}/config.json`, 'cgroup .*/%{id}'],
  },
  {
    id: 'create-container/exec-id-and-string-user-are-ignored',
    rpc: 'CreateContainer',
    kind: 'edge',
    steps: [
      { call: 'CreateContainer', request: { $like: 'sleeper', exec_id: '../../x', string_user: { uid: 'nobody' } } },
      { call: 'StartContainer', request: { container_id: '%{id}' } },
      { use: 'inside', with: { script: 'id -u', prints: '0\n' } },
    ],
  },
  {
    id: 'create-container/a-pod-with-one-pid-namespace',
    rpc: 'CreateContainer',
    kind: 'edge',
    alone: true,
    steps: [
      { call: 'CreateContainer', request: { $like: 'sleeper', sandbox_pidns: true } },
      { call: 'StartContainer', request: { container_id: '%{id}' } },
      {
        call: 'CreateContainer',
        request: {
          $like: 'sleeper',
          container_id: '%{id}b',
          sandbox_pidns: true,
          storages: [{ $like: 'root-storage', mount_point: `${BUNDLE}b/rootfs` }],
          OCI: { Root: { Path: `${BUNDLE}b/rootfs` }, Linux: { CgroupsPath: '/%{id}b' } },
        },
      },
      { call: 'StartContainer', request: { container_id: '%{id}b' } },
      { use: 'inside', with: { id: '%{id}b', script: 'ps -o comm= | grep -c sleep', prints: '2\n' } },
    ],
  },
  {
    id: 'create-container/root-by-a-path-of-the-guest',
    rpc: 'CreateContainer',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      {
        call: 'CreateContainer',
        request: { $like: 'sleeper', container_id: '%{id}b', storages: [], OCI: { Linux: { CgroupsPath: '/%{id}b' } } },
      },
      { call: 'StartContainer', request: { container_id: '%{id}b' } },
      { use: 'inside', with: { id: '%{id}b', script: 'echo /proc/1/*ot', prints: '/proc/1/root\n' } },
    ],
    leaves: ['cgroup .*/%{id}b', 'process sleep'],
  },
  {
    id: 'create-container/a-program-that-is-not-there',
    rpc: 'CreateContainer',
    kind: 'bad-input',
    steps: [create('no-such-program', { OCI: { Process: { Args: ['no-such-program'] } } })],
  },
  {
    id: 'create-container/an-id-that-exists-leaves-the-first-alone',
    rpc: 'CreateContainer',
    kind: 'bad-input',
    given: [{ use: 'running' }],
    steps: [
      {
        call: 'CreateContainer',
        request: { $like: 'sleeper' },
        fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'], text: 'exist' },
      },
      { use: 'inside', with: { script: 'echo alive', prints: 'alive\n' } },
    ],
  },
  {
    id: 'create-container/no-spec',
    rpc: 'CreateContainer',
    kind: 'bad-input',
    steps: [create('EINVAL', { OCI: null })],
  },
  {
    id: 'create-container/no-process',
    rpc: 'CreateContainer',
    kind: 'bad-input',
    steps: [create('EINVAL', { OCI: { Process: null } })],
  },
  {
    id: 'create-container/no-root',
    rpc: 'CreateContainer',
    kind: 'bad-input',
    steps: [create('EINVAL', { OCI: { Root: null } })],
  },
  {
    id: 'create-container/a-root-that-is-not-there',
    rpc: 'CreateContainer',
    kind: 'bad-input',
    steps: [create('nowhere', { storages: [], OCI: { Root: { Path: '/nowhere' } } })],
  },
  { id: 'create-container/malformed', rpc: 'CreateContainer', kind: 'bad-input', steps: [malformed('CreateContainer')] },
  ...[
    ['empty', ''],
    ['one-character', 'a'],
    ['dots', '..'],
    ['walks-up', '../etc'],
    ['absolute', '/etc'],
    ['begins-with-a-dash', '-rf'],
    ['with-a-space', 'a b'],
    ['with-a-newline', 'a\nb'],
  ].map(
    ([name, id]): ConformanceCase => ({
      id: `create-container/id-${name}`,
      rpc: 'CreateContainer',
      kind: 'bad-input',
      steps: [
        {
          call: 'CreateContainer',
          request: { $like: 'sleeper', container_id: id! },
          fails: { code: 'INTERNAL', text: 'invalid container id' },
        },
      ],
    }),
  ),

  {
    id: 'start-container/runs-what-was-created',
    rpc: 'StartContainer',
    kind: 'normal',
    given: [{ use: 'created', with: { args: ['sh', '-c', 'echo out; echo err >&2; exit 3'] } }],
    steps: [
      { call: 'StartContainer', request: { container_id: '%{id}' } },
      { collect: 'stdout', container: '%{id}', text: 'out\n' },
      { collect: 'stderr', container: '%{id}', text: 'err\n' },
      { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: '' }, reply: { status: 3 } },
    ],
  },
  {
    id: 'start-container/output-asked-for-before-the-start',
    rpc: 'StartContainer',
    kind: 'edge',
    given: [{ use: 'created', with: { args: ['echo', 'late'] } }],
    steps: [
      { call: 'ReadStdout', request: { container_id: '%{id}', exec_id: '', len: 100 }, later: 'out' },
      { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: '' }, later: 'exit' },
      { call: 'StartContainer', request: { container_id: '%{id}' } },
      { join: 'out', reply: { data: 'late\n' } },
      { join: 'exit', reply: { status: 0 } },
    ],
  },
  {
    id: 'start-container/unknown',
    rpc: 'StartContainer',
    kind: 'bad-input',
    steps: [
      { call: 'StartContainer', request: { container_id: 'nobody' }, fails: { code: 'INTERNAL', text: 'Invalid container id' } },
    ],
  },
  {
    id: 'start-container/twice',
    rpc: 'StartContainer',
    kind: 'bad-input',
    steps: [{ call: 'StartContainer', request: { container_id: '%{shared}' }, fails: { code: 'INTERNAL', text: 'running' } }],
  },
  { id: 'start-container/malformed', rpc: 'StartContainer', kind: 'bad-input', steps: [malformed('StartContainer')] },

  {
    id: 'remove-container/takes-a-running-one-with-all-it-has',
    rpc: 'RemoveContainer',
    kind: 'normal',
    steps: [
      { use: 'running', with: { args: ['sh', '-c', 'sleep inf & sleep inf & wait'] } },
      { use: 'exec' },
      { call: 'RemoveContainer', request: { container_id: '%{id}' } },
      { guest: 'grep -c %{id} /proc/1/mountinfo || true', prints: '0' },
      { guest: "find /sys/fs/cgroup $G/run/kata-containers -name '*%{id}*'", prints: '' },
      { call: 'StartContainer', request: { container_id: '%{id}' }, fails: { code: 'INTERNAL', text: 'Invalid container id' } },
    ],
  },
  {
    id: 'remove-container/one-that-never-ran',
    rpc: 'RemoveContainer',
    kind: 'edge',
    steps: [{ use: 'created' }, { call: 'RemoveContainer', request: { container_id: '%{id}' } }],
  },
  {
    id: 'remove-container/with-time-to-spare',
    rpc: 'RemoveContainer',
    kind: 'edge',
    steps: [{ use: 'running' }, { call: 'RemoveContainer', request: { container_id: '%{id}', timeout: 30 } }],
  },
  {
    id: 'remove-container/a-paused-one',
    rpc: 'RemoveContainer',
    kind: 'edge',
    steps: [
      { use: 'running' },
      { call: 'PauseContainer', request: { container_id: '%{id}' } },
      { call: 'RemoveContainer', request: { container_id: '%{id}' } },
    ],
  },
  {
    id: 'remove-container/ends-what-waits-for-it',
    rpc: 'RemoveContainer',
    kind: 'edge',
    steps: [
      { use: 'running' },
      { call: 'ReadStdout', request: { container_id: '%{id}', exec_id: '', len: 10 }, later: 'out' },
      { pending: 'out' },
      { call: 'RemoveContainer', request: { container_id: '%{id}' } },
      { join: 'out', reply: { data: '' } },
    ],
  },
  {
    id: 'remove-container/the-id-can-be-used-again',
    rpc: 'RemoveContainer',
    kind: 'edge',
    steps: [{ use: 'running' }, { call: 'RemoveContainer', request: { container_id: '%{id}' } }, { use: 'running' }],
  },
  {
    id: 'remove-container/twice',
    rpc: 'RemoveContainer',
    kind: 'bad-input',
    steps: [
      { use: 'created' },
      { call: 'RemoveContainer', request: { container_id: '%{id}' } },
      { call: 'RemoveContainer', request: { container_id: '%{id}' }, fails: { code: 'INTERNAL', text: 'Invalid container id' } },
    ],
  },
  { id: 'remove-container/malformed', rpc: 'RemoveContainer', kind: 'bad-input', steps: [malformed('RemoveContainer')] },
];
