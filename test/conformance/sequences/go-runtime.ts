// A pod's life as the Go runtime drives it over its one connection (kata-agent.md §4.3, §4.4): containerd/ttrpc's client, no metadata
// without tracing, what is left of a context's 60 s as the deadline, the init addressed by the container's id.
import type { Data } from '../case.ts';
import type { Exchange, Sequence, SequenceStep } from './exchange.ts';
import {
  CONFIG_FILE,
  containerOf,
  EXEC_ID,
  INTERFACE,
  JOB_ID,
  NEIGHBOURS,
  ROUTES,
  SANDBOX_ID,
  SECCOMP,
  SHM,
  WEB_ID,
} from './pod.ts';

/** 60 s less what the call has cost so far, and 30 s for Check. */
const LEFT_NS = 59_999_871_043;
const CHECK_LEFT_NS = 29_999_902_117;
const READ_BYTES = 32_768;

const call = (name: string, request: Data = {}, reply?: Data): Exchange => ({
  call: name,
  request,
  timeoutNs: LEFT_NS,
  ...(reply === undefined ? {} : { reply }),
});
/** ReadStdout, ReadStderr, WaitProcess and GetOOMEvent have no deadline. */
const endless = (name: string, request: Data, later: string): Exchange => ({ call: name, request, later });
const CHECK: Exchange = { call: 'Check', timeoutNs: CHECK_LEFT_NS, reply: { status: 1 } };
const init = (id: string) => ({ container_id: id, exec_id: id });
const read = (stream: 'Stdout' | 'Stderr', id: string, exec: string, later: string): Exchange =>
  endless(`Read${stream}`, { container_id: id, exec_id: exec, len: READ_BYTES }, later);

/** Between making and starting each container: memory that was plugged in, and the sizes of shared memory. */
const UPDATE_RESOURCES: readonly SequenceStep[] = [
  call('OnlineCPUMem', { nb_cpus: 2, cpu_only: true }),
  call('OnlineCPUMem', {}),
  call('UpdateEphemeralMounts', {}),
];

/** Kill(9, all), wait, remove; the virtio-fs clean-up after each. */
const stop = (id: string): readonly SequenceStep[] => [
  call('SignalProcess', { container_id: id, signal: 9 }),
  endless('WaitProcess', init(id), `exit of ${id}`),
  { arrives: `exit of ${id}`, reply: { status: { $from: 0, $to: 255 } } },
  call('RemoveContainer', { container_id: id }),
  call('RemoveStaleVirtiofsShareMounts'),
];

export const goRuntime: Sequence = {
  name: 'go-runtime',
  order: 'by-number',
  steps: [
    CHECK,
    call('UpdateInterface', { interface: INTERFACE }, { name: 'eth0', mtu: 1450 }),
    call('UpdateRoutes', { routes: ROUTES }, { Routes: { $has: [{ dest: '10.244.0.0/16', gateway: '10.244.1.1' }] } }),
    call('AddARPNeighbors', { neighbors: NEIGHBOURS }),
    call('CreateSandbox', { hostname: 'web-0', dns: ['nameserver 10.96.0.10'], storages: [SHM], sandbox_id: SANDBOX_ID }),
    call('GetGuestDetails', { mem_block_size: true, mem_hotplug_probe: true }, { agent_details: { supports_seccomp: true } }),

    call('CreateContainer', { ...containerOf(SANDBOX_ID, ['sleep', 'infinity']), exec_id: SANDBOX_ID }),
    ...UPDATE_RESOURCES,
    call('StartContainer', { container_id: SANDBOX_ID }),
    CHECK,
    endless('GetOOMEvent', {}, 'oom'),
    read('Stdout', SANDBOX_ID, SANDBOX_ID, 'pause out'),
    read('Stderr', SANDBOX_ID, SANDBOX_ID, 'pause err'),

    call('CopyFile', {
      path: CONFIG_FILE,
      file_size: 12,
      file_mode: 0o100644,
      dir_mode: 0o755,
      uid: 0,
      gid: 0,
      data: 'listen = 80\n',
    }),
    call('CreateContainer', {
      ...containerOf(WEB_ID, ['sh', '-c', 'trap "exit 5" TERM; echo up; while :; do sleep 0.05; done'], { Seccomp: SECCOMP }),
      exec_id: WEB_ID,
      sandbox_pidns: true,
    }),
    ...UPDATE_RESOURCES,
    call('StartContainer', { container_id: WEB_ID }),
    read('Stdout', WEB_ID, WEB_ID, 'web out'),
    read('Stderr', WEB_ID, WEB_ID, 'web err'),
    { arrives: 'web out', reply: { data: 'up\n' } },
    read('Stdout', WEB_ID, WEB_ID, 'web out again'),

    call('CreateContainer', { ...containerOf(JOB_ID, ['cat']), exec_id: JOB_ID, sandbox_pidns: true }),
    ...UPDATE_RESOURCES,
    call('StartContainer', { container_id: JOB_ID }),
    read('Stdout', JOB_ID, JOB_ID, 'job out'),
    read('Stderr', JOB_ID, JOB_ID, 'job err'),
    call('WriteStdin', { ...init(JOB_ID), data: 'work\n' }, { len: 5 }),
    { arrives: 'job out', reply: { data: 'work\n' } },
    read('Stdout', JOB_ID, JOB_ID, 'job end'),
    { unanswered: ['oom', 'pause out', 'pause err', 'web out again', 'web err', 'job end', 'job err'] },

    CHECK,
    call('StatsContainer', { container_id: WEB_ID }, { cgroup_stats: { pids_stats: { current: { $from: 1 } } } }),
    call('StatsContainer', { container_id: JOB_ID }, { cgroup_stats: { memory_stats: { usage: { usage: { $from: 1 } } } } }),
    call('UpdateContainer', {
      container_id: WEB_ID,
      resources: { Memory: { Limit: 134_217_728 }, CPU: { Shares: 1024, Quota: 50_000, Period: 100_000 } },
    }),

    call('ExecProcess', {
      container_id: WEB_ID,
      exec_id: EXEC_ID,
      process: {
        Terminal: true,
        User: {},
        // As it is: what a terminal adds to a line may come as a piece of its own.
        Args: ['sh', '-c', 'stty -echo -opost; echo ready; read go; stty size; exit 3'],
        Env: ['PATH=/usr/bin:/bin', 'TERM=xterm'],
        Cwd: '/',
      },
    }),
    call('TtyWinResize', { container_id: WEB_ID, exec_id: EXEC_ID, row: 41, column: 113 }),
    read('Stdout', WEB_ID, EXEC_ID, 'exec ready'),
    { arrives: 'exec ready', reply: { data: 'ready\n' } },
    read('Stdout', WEB_ID, EXEC_ID, 'exec size'),
    call('WriteStdin', { container_id: WEB_ID, exec_id: EXEC_ID, data: '\n' }, { len: 1 }),
    { arrives: 'exec size', reply: { data: '41 113\n' } },
    read('Stdout', WEB_ID, EXEC_ID, 'exec end'),
    { arrives: 'exec end', reply: { data: '' } },
    endless('WaitProcess', { container_id: WEB_ID, exec_id: EXEC_ID }, 'exec exit'),
    { arrives: 'exec exit', reply: { status: 3 } },

    call('CloseStdin', init(JOB_ID)),
    { arrives: 'job end', reply: { data: '' } },
    { arrives: 'job err', reply: { data: '' } },
    endless('WaitProcess', init(JOB_ID), 'job exit'),
    { arrives: 'job exit', reply: { status: 0 } },
    CHECK,

    call('SignalProcess', { container_id: WEB_ID, signal: 15 }),
    { arrives: 'web out again', reply: { data: '' } },
    { arrives: 'web err', reply: { data: '' } },
    endless('WaitProcess', init(WEB_ID), 'web exit'),
    { arrives: 'web exit', reply: { status: 5 } },

    ...stop(WEB_ID),
    ...stop(JOB_ID),
    call('SignalProcess', { container_id: SANDBOX_ID, signal: 9 }),
    { arrives: 'pause out', reply: { data: '' } },
    { arrives: 'pause err', reply: { data: '' } },
    endless('WaitProcess', init(SANDBOX_ID), 'pause exit'),
    { arrives: 'pause exit', reply: { status: 137 } },
    ...stop(SANDBOX_ID),
    CHECK,
    { unanswered: ['oom'] },
    call('DestroySandbox'),
    { arrives: 'oom', code: 13 },
  ],
};
