// Limits, figures and the freezer: UpdateContainer, StatsContainer, PauseContainer, ResumeContainer (kata-agent.md §3.10, §5.4).
import type { ConformanceCase, Data, Refusal } from '../case.ts';
import { malformed } from './malformed.ts';

const ID = { container_id: '%{id}' };
const UNKNOWN: Refusal = { code: 'INVALID_ARGUMENT', text: 'invalid container id' };

const updated = (id: string, resources: Data, files: string, prints: Data): ConformanceCase => ({
  id: `update-container/${id}`,
  rpc: 'UpdateContainer',
  kind: 'edge',
  given: [{ use: 'running' }],
  steps: [
    { call: 'UpdateContainer', request: { ...ID, resources } },
    { use: 'inside', with: { script: `cd /sys/fs/cgroup && cat ${files}`, prints } },
  ],
});

export const resources: readonly ConformanceCase[] = [
  {
    id: 'update-container/limits-are-in-the-cgroup-s-files',
    rpc: 'UpdateContainer',
    kind: 'normal',
    given: [{ use: 'running' }],
    steps: [
      {
        call: 'UpdateContainer',
        request: {
          ...ID,
          resources: { Memory: { Limit: 100_663_296 }, CPU: { Quota: 20_000, Period: 50_000 }, Pids: { Limit: 50 } },
        },
      },
      {
        use: 'inside',
        with: { script: 'cd /sys/fs/cgroup && cat memory.max cpu.max pids.max', prints: '100663296\n20000 50000\n50\n' },
      },
    ],
  },
  {
    id: 'update-container/without-resources-changes-nothing',
    rpc: 'UpdateContainer',
    kind: 'edge',
    given: [{ use: 'running', with: { linux: { Resources: { Memory: { Limit: 67_108_864 } } } } }],
    steps: [
      { call: 'UpdateContainer', request: ID },
      { call: 'UpdateContainer', request: { ...ID, resources: {} } },
      { use: 'inside', with: { script: 'cat /sys/fs/cgroup/memory.max', prints: '67108864\n' } },
    ],
  },
  {
    id: 'update-container/one-that-has-not-started',
    rpc: 'UpdateContainer',
    kind: 'edge',
    given: [{ use: 'created' }],
    steps: [
      { call: 'UpdateContainer', request: { ...ID, resources: { Pids: { Limit: 44 } } } },
      { use: 'inside', with: { script: 'cat /sys/fs/cgroup/pids.max', prints: '44\n' } },
    ],
  },
  {
    id: 'update-container/minus-one-takes-a-limit-away',
    rpc: 'UpdateContainer',
    kind: 'edge',
    given: [
      {
        use: 'running',
        with: { linux: { Resources: { Memory: { Limit: 67_108_864 }, CPU: { Quota: 20_000, Period: 50_000 } } } },
      },
    ],
    steps: [
      { call: 'UpdateContainer', request: { ...ID, resources: { Memory: { Limit: -1 }, CPU: { Quota: -1, Period: 50_000 } } } },
      { use: 'inside', with: { script: 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max', prints: 'max\nmax 50000\n' } },
    ],
  },
  updated('shares-become-a-weight', { CPU: { Shares: 262_144 } }, 'cpu.weight', '10000\n'),
  updated('a-set-of-cpus', { CPU: { Cpus: '0' } }, 'cpuset.cpus', '0\n'),
  updated(
    'settings-that-cgroup-v2-has-not',
    { Memory: { Limit: 67_108_864, Kernel: 1, KernelTCP: 1, Swappiness: 60 } },
    'memory.max',
    '67108864\n',
  ),
  {
    id: 'update-container/unknown',
    rpc: 'UpdateContainer',
    kind: 'bad-input',
    steps: [{ call: 'UpdateContainer', request: { container_id: 'nobody', resources: {} }, fails: UNKNOWN }],
  },
  {
    id: 'update-container/cpus-that-are-none',
    rpc: 'UpdateContainer',
    kind: 'bad-input',
    steps: [
      {
        call: 'UpdateContainer',
        request: { container_id: '%{shared}', resources: { CPU: { Cpus: 'x' } } },
        fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'] },
      },
    ],
  },
  { id: 'update-container/malformed', rpc: 'UpdateContainer', kind: 'bad-input', steps: [malformed('UpdateContainer')] },

  {
    id: 'stats/of-a-container-that-works',
    rpc: 'StatsContainer',
    kind: 'normal',
    given: [
      {
        use: 'running',
        with: {
          args: [
            'sh',
            '-c',
            'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; head -c 1000000 /dev/zero > /dev/shm/f; echo ready; exec sleep inf',
          ],
          linux: { Resources: { Memory: { Limit: 67_108_864 }, Pids: { Limit: 20 } } },
        },
      },
      { call: 'ReadStdout', request: { ...ID, exec_id: '', len: 6 }, reply: { data: 'ready\n' } },
    ],
    steps: [
      {
        call: 'StatsContainer',
        request: ID,
        reply: {
          cgroup_stats: {
            cpu_stats: { cpu_usage: { total_usage: { $from: 1000 }, percpu_usage: [] }, throttling_data: { throttled_time: 0 } },
            memory_stats: {
              usage: { usage: { $from: 900_000, $to: 67_108_864 }, max_usage: { $from: 900_000 }, limit: 67_108_864, failcnt: 0 },
              cache: { $from: 900_000 },
              kernel_usage: { limit: '18446744073709551615' },
              use_hierarchy: false,
              stats: { anon: { $from: 1 }, inactive_file: { $from: 0 }, shmem: { $from: 900_000 } },
            },
            pids_stats: { current: 1, limit: 20 },
            blkio_stats: { $any: true },
          },
          network_stats: [],
        },
      },
    ],
  },
  {
    id: 'stats/without-limits',
    rpc: 'StatsContainer',
    kind: 'edge',
    given: [{ use: 'created' }],
    steps: [
      {
        call: 'StatsContainer',
        request: ID,
        reply: { cgroup_stats: { pids_stats: { current: { $from: 1 } }, memory_stats: { usage: { limit: { $from: 1e15 } } } } },
      },
    ],
  },
  {
    id: 'stats/of-a-paused-container',
    rpc: 'StatsContainer',
    kind: 'edge',
    given: [{ use: 'running' }, { call: 'PauseContainer', request: ID }],
    steps: [{ call: 'StatsContainer', request: ID, reply: { cgroup_stats: { pids_stats: { current: 1 } } }, deadlineMs: 2000 }],
  },
  {
    id: 'stats/unknown',
    rpc: 'StatsContainer',
    kind: 'bad-input',
    steps: [{ call: 'StatsContainer', request: { container_id: 'nobody' }, fails: UNKNOWN }],
  },
  { id: 'stats/malformed', rpc: 'StatsContainer', kind: 'bad-input', steps: [malformed('StatsContainer')] },

  {
    id: 'pause/stops-every-process',
    rpc: 'PauseContainer',
    kind: 'normal',
    given: [{ use: 'running', with: { args: ['sh', '-c', 'while read x; do echo $x; done'] } }],
    steps: [
      { call: 'PauseContainer', request: ID },
      { call: 'WriteStdin', request: { ...ID, exec_id: '', data: 'go\n' } },
      { call: 'ReadStdout', request: { ...ID, exec_id: '', len: 10 }, later: 'out' },
      { pending: 'out', forMs: 200 },
      { call: 'ResumeContainer', request: ID },
      { join: 'out', reply: { data: 'go\n' } },
    ],
  },
  {
    id: 'pause/one-that-has-not-started',
    rpc: 'PauseContainer',
    kind: 'edge',
    given: [{ use: 'created' }],
    steps: [
      { call: 'PauseContainer', request: ID },
      { call: 'ResumeContainer', request: ID },
      { call: 'StartContainer', request: ID },
    ],
  },
  {
    id: 'pause/a-paused-container-can-be-killed',
    rpc: 'PauseContainer',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { call: 'PauseContainer', request: ID },
      { call: 'SignalProcess', request: { ...ID, exec_id: '', signal: 9 } },
      { call: 'WaitProcess', request: { ...ID, exec_id: '' }, reply: { status: 137 } },
    ],
  },
  {
    id: 'pause/twice',
    rpc: 'PauseContainer',
    kind: 'bad-input',
    given: [{ use: 'running' }, { call: 'PauseContainer', request: ID }],
    steps: [
      { call: 'PauseContainer', request: ID, fails: { code: 'INTERNAL', text: 'failed to pause container: current status is' } },
    ],
  },
  {
    id: 'pause/unknown',
    rpc: 'PauseContainer',
    kind: 'bad-input',
    steps: [{ call: 'PauseContainer', request: { container_id: 'nobody' }, fails: UNKNOWN }],
  },
  { id: 'pause/malformed', rpc: 'PauseContainer', kind: 'bad-input', steps: [malformed('PauseContainer')] },

  {
    id: 'resume/goes-on-where-it-was',
    rpc: 'ResumeContainer',
    kind: 'normal',
    given: [{ use: 'running' }, { call: 'PauseContainer', request: ID }],
    steps: [
      { call: 'ResumeContainer', request: ID },
      { use: 'inside', with: { script: 'echo on', prints: 'on\n' } },
    ],
  },
  {
    id: 'resume/again-and-again',
    rpc: 'ResumeContainer',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { call: 'PauseContainer', request: ID },
      { call: 'ResumeContainer', request: ID },
      { call: 'PauseContainer', request: ID },
      { call: 'ResumeContainer', request: ID },
    ],
  },
  {
    id: 'resume/one-that-is-not-paused',
    rpc: 'ResumeContainer',
    kind: 'bad-input',
    steps: [
      {
        call: 'ResumeContainer',
        request: { container_id: '%{shared}' },
        fails: { code: 'INTERNAL', text: 'container status is: .*not paused' },
      },
    ],
  },
  {
    id: 'resume/unknown',
    rpc: 'ResumeContainer',
    kind: 'bad-input',
    steps: [{ call: 'ResumeContainer', request: { container_id: 'nobody' }, fails: UNKNOWN }],
  },
  { id: 'resume/malformed', rpc: 'ResumeContainer', kind: 'bad-input', steps: [malformed('ResumeContainer')] },
];
