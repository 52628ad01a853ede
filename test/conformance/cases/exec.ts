// Further processes of a container: ExecProcess (kata-agent.md §3.6).
import type { ConformanceCase } from '../case.ts';
import { malformed } from './malformed.ts';

const E1 = { container_id: '%{id}', exec_id: 'e1' };

export const exec: readonly ConformanceCase[] = [
  {
    id: 'exec/runs-when-it-is-answered',
    rpc: 'ExecProcess',
    kind: 'normal',
    given: [{ use: 'running' }],
    steps: [
      { use: 'exec', with: { args: ['sh', '-c', 'echo out; echo err >&2; exit 4'] } },
      { collect: 'stdout', container: '%{id}', exec: 'e1', text: 'out\n' },
      { collect: 'stderr', container: '%{id}', exec: 'e1', text: 'err\n' },
      { call: 'WaitProcess', request: E1, reply: { status: 4 } },
    ],
  },
  {
    id: 'exec/takes-the-capabilities-of-its-container',
    rpc: 'ExecProcess',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { use: 'inside', with: { script: 'grep CapEff /proc/self/status', prints: { $match: '^CapEff:\t00000000a80425fb\n$' } } },
    ],
  },
  {
    id: 'exec/is-in-the-cgroup-and-namespaces-of-its-container',
    rpc: 'ExecProcess',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      {
        use: 'inside',
        with: {
          script:
            'for n in pid mnt ipc uts net cgroup; do [ "$(readlink /proc/self/ns/$n)" = "$(readlink /proc/1/ns/$n)" ] || echo $n; done; cat /proc/self/cgroup',
          prints: { $match: '^0::/[^.]*\n$' },
        },
      },
    ],
  },
  {
    id: 'exec/id-of-one-that-is-done-can-be-used-again',
    rpc: 'ExecProcess',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { use: 'inside', with: { script: 'echo one', prints: 'one\n' } },
      { use: 'inside', with: { script: 'echo two', prints: 'two\n' } },
    ],
  },
  {
    id: 'exec/its-end-is-not-the-container-s',
    rpc: 'ExecProcess',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { use: 'exec' },
      { call: 'SignalProcess', request: { ...E1, signal: 9 } },
      { call: 'WaitProcess', request: E1, reply: { status: 137 } },
      { use: 'inside', with: { script: 'echo alive', prints: 'alive\n' } },
    ],
  },
  {
    id: 'exec/environment-user-and-directory-are-its-own',
    rpc: 'ExecProcess',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      {
        call: 'ExecProcess',
        request: {
          ...E1,
          string_user: { uid: 'nobody' },
          process: {
            User: { UID: 12, GID: 34 },
            Args: ['sh', '-c', 'echo "$A $(id -u):$(id -g) $PWD"'],
            Env: ['PATH=/bin', 'A= b '],
            Cwd: '/proc',
          },
        },
      },
      { collect: 'stdout', container: '%{id}', exec: 'e1', text: ' b  12:34 /proc\n' },
    ],
  },
  {
    id: 'exec/into-a-container-that-has-not-started',
    rpc: 'ExecProcess',
    kind: 'edge',
    given: [{ use: 'created' }],
    steps: [{ use: 'inside', with: { script: 'echo early', prints: 'early\n' } }],
  },
  {
    id: 'exec/unknown-container',
    rpc: 'ExecProcess',
    kind: 'bad-input',
    steps: [
      {
        call: 'ExecProcess',
        request: { container_id: 'nobody', exec_id: 'e1', process: { Args: ['true'], Cwd: '/' } },
        fails: { code: 'INTERNAL', text: 'Invalid container id' },
      },
    ],
  },
  {
    id: 'exec/no-process',
    rpc: 'ExecProcess',
    kind: 'bad-input',
    steps: [
      {
        call: 'ExecProcess',
        request: { container_id: '%{shared}', exec_id: 'e1' },
        fails: { code: 'INTERNAL', text: 'Unable to parse process' },
      },
    ],
  },
  {
    id: 'exec/a-program-that-is-not-there',
    rpc: 'ExecProcess',
    kind: 'bad-input',
    steps: [
      {
        call: 'ExecProcess',
        request: {
          container_id: '%{shared}',
          exec_id: 'e1',
          process: { User: {}, Args: ['no-such-program'], Cwd: '/', Env: ['PATH=/bin'] },
        },
        fails: { code: 'INTERNAL', text: 'no-such-program.*(not found|no such file)|(not found|no such file).*no-such-program' },
      },
    ],
  },
  {
    id: 'exec/an-id-that-exists',
    rpc: 'ExecProcess',
    kind: 'bad-input',
    given: [{ use: 'running' }, { use: 'exec' }],
    steps: [
      {
        call: 'ExecProcess',
        request: { ...E1, process: { User: {}, Args: ['true'], Cwd: '/', Env: ['PATH=/bin'] } },
        fails: { code: 'INTERNAL', text: 'already exists' },
      },
    ],
  },
  {
    id: 'exec/an-id-that-is-the-container-s',
    rpc: 'ExecProcess',
    kind: 'bad-input',
    steps: [
      {
        call: 'ExecProcess',
        request: {
          container_id: '%{shared}',
          exec_id: '%{shared}',
          process: { User: {}, Args: ['true'], Cwd: '/', Env: ['PATH=/bin'] },
        },
        fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'], text: 'exist' },
      },
    ],
  },
  {
    id: 'exec/no-arguments',
    rpc: 'ExecProcess',
    kind: 'bad-input',
    steps: [
      {
        call: 'ExecProcess',
        request: { container_id: '%{shared}', exec_id: 'e1', process: { Cwd: '/' } },
        fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'], text: 'args' },
      },
    ],
  },
  {
    id: 'exec/an-id-that-walks-up',
    rpc: 'ExecProcess',
    kind: 'bad-input',
    steps: [
      {
        call: 'ExecProcess',
        request: { container_id: '%{shared}', exec_id: '../x', process: { User: {}, Args: ['true'], Cwd: '/' } },
        fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'], text: 'exec' },
      },
    ],
  },
  { id: 'exec/malformed', rpc: 'ExecProcess', kind: 'bad-input', steps: [malformed('ExecProcess')] },
];
