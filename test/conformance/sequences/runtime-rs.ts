// A pod's life as runtime-rs drives it (kata-agent.md §4.5): ttrpc-rust's client, deadlines of exactly 30 s, the init addressed by no
// exec id, input ended by an empty write, the OOM loop from the beginning.
import type { Data } from '../case.ts';
import type { Exchange, Sequence, SequenceStep } from './exchange.ts';
import { containerOf, EXEC_ID, INTERFACE, JOB_ID, NEIGHBOURS, ROUTES, SANDBOX_ID, SECCOMP, SHM, WEB_ID } from './pod.ts';

const REQUEST_NS = 30_000_000_000;
const HEALTH_NS = 90_000_000_000;
const READ_BYTES = 8192;

const call = (name: string, request: Data = {}, reply?: Data): Exchange => ({
  call: name,
  request,
  timeoutNs: REQUEST_NS,
  ...(reply === undefined ? {} : { reply }),
});
const endless = (name: string, request: Data, later: string): Exchange => ({ call: name, request, later });
const CHECK: Exchange = { call: 'Check', timeoutNs: HEALTH_NS, reply: { status: 1 } };
const read = (stream: 'Stdout' | 'Stderr', id: string, later: string, exec_id = ''): Exchange =>
  endless(`Read${stream}`, { container_id: id, exec_id, len: READ_BYTES }, later);

const remove = (id: string): readonly SequenceStep[] => [
  call('SignalProcess', { container_id: id, signal: 9 }),
  call('RemoveContainer', { container_id: id }),
];

export const runtimeRs: Sequence = {
  name: 'runtime-rs',
  order: 'oneofs-last',
  steps: [
    CHECK,
    call('UpdateInterface', { interface: INTERFACE }, { name: 'eth0' }),
    call('UpdateRoutes', { routes: ROUTES }, { Routes: { $has: [{ dest: '10.244.0.0/16' }] } }),
    call('AddARPNeighbors', { neighbors: NEIGHBOURS }),
    call('CreateSandbox', { hostname: 'web-0', dns: ['nameserver 10.96.0.10'], storages: [SHM], sandbox_id: SANDBOX_ID }),
    call('GetGuestDetails', { mem_block_size: true, mem_hotplug_probe: true }, { agent_details: { init_daemon: true } }),
    endless('GetOOMEvent', {}, 'oom'),

    call('CreateContainer', containerOf(SANDBOX_ID, ['sleep', 'infinity'])),
    call('StartContainer', { container_id: SANDBOX_ID }),
    read('Stdout', SANDBOX_ID, 'pause out'),
    read('Stderr', SANDBOX_ID, 'pause err'),
    call('OnlineCPUMem', { nb_cpus: 2 }),

    call('CreateContainer', {
      ...containerOf(WEB_ID, ['sh', '-c', 'echo up; exec sleep infinity'], { Seccomp: SECCOMP }),
      sandbox_pidns: true,
    }),
    call('StartContainer', { container_id: WEB_ID }),
    read('Stdout', WEB_ID, 'web out'),
    read('Stderr', WEB_ID, 'web err'),
    { arrives: 'web out', reply: { data: 'up\n' } },
    read('Stdout', WEB_ID, 'web out again'),

    call('CreateContainer', { ...containerOf(JOB_ID, ['sh', '-c', 'cat; exit 6']), sandbox_pidns: true }),
    call('StartContainer', { container_id: JOB_ID }),
    read('Stdout', JOB_ID, 'job out'),
    read('Stderr', JOB_ID, 'job err'),
    endless('WriteStdin', { container_id: JOB_ID, data: 'work\n' }, 'job in'),
    { arrives: 'job in', reply: { len: 5 } },
    { arrives: 'job out', reply: { data: 'work\n' } },
    read('Stdout', JOB_ID, 'job end'),
    { unanswered: ['oom', 'pause out', 'pause err', 'web out again', 'web err', 'job end', 'job err'] },
    endless('WriteStdin', { container_id: JOB_ID }, 'job in ends'),
    { arrives: 'job in ends', reply: { len: 0 } },
    { arrives: 'job end', reply: { data: '' } },
    { arrives: 'job err', reply: { data: '' } },
    endless('WaitProcess', { container_id: JOB_ID }, 'job exit'),
    { arrives: 'job exit', reply: { status: 6 } },

    call('StatsContainer', { container_id: WEB_ID }, { cgroup_stats: { pids_stats: { current: 1 } } }),
    call('PauseContainer', { container_id: WEB_ID }),
    call('ResumeContainer', { container_id: WEB_ID }),
    CHECK,
    { call: 'Version', timeoutNs: HEALTH_NS, reply: { grpc_version: '0.0.1' } },

    call('ExecProcess', {
      container_id: WEB_ID,
      exec_id: EXEC_ID,
      process: { User: {}, Args: ['sh', '-c', 'read go; echo $go; exit 4'], Env: ['PATH=/usr/bin:/bin'], Cwd: '/' },
    }),
    read('Stdout', WEB_ID, 'exec out', EXEC_ID),
    read('Stderr', WEB_ID, 'exec err', EXEC_ID),
    endless('WriteStdin', { container_id: WEB_ID, exec_id: EXEC_ID, data: 'hello\n' }, 'exec in'),
    { arrives: 'exec in', reply: { len: 6 } },
    { arrives: 'exec out', reply: { data: 'hello\n' } },
    read('Stdout', WEB_ID, 'exec end', EXEC_ID),
    { arrives: 'exec end', reply: { data: '' } },
    { arrives: 'exec err', reply: { data: '' } },
    endless('WaitProcess', { container_id: WEB_ID, exec_id: EXEC_ID }, 'exec exit'),
    { arrives: 'exec exit', reply: { status: 4 } },
    // NOT_FOUND is what tells this host that a process has ended.
    { ...call('SignalProcess', { container_id: WEB_ID, exec_id: 'never-was', signal: 9 }), code: 5 },

    ...remove(JOB_ID),
    call('SignalProcess', { container_id: WEB_ID, signal: 9 }),
    { arrives: 'web out again', reply: { data: '' } },
    { arrives: 'web err', reply: { data: '' } },
    endless('WaitProcess', { container_id: WEB_ID }, 'web exit'),
    { arrives: 'web exit', reply: { status: 137 } },
    call('RemoveContainer', { container_id: WEB_ID }),
    ...remove(SANDBOX_ID),
    { arrives: 'pause out', reply: { data: '' } },
    { arrives: 'pause err', reply: { data: '' } },
    { unanswered: ['oom'] },
    call('DestroySandbox'),
    { arrives: 'oom', code: 13 },
  ],
};
