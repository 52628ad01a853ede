// The end of processes: SignalProcess, WaitProcess (kata-agent.md §3.0, §3.7, §3.8).
import type { ConformanceCase, Step } from '../case.ts';
import { malformed } from './malformed.ts';

const INIT = { container_id: '%{id}', exec_id: '' };
const E1 = { container_id: '%{id}', exec_id: 'e1' };
const NOBODY = { container_id: 'nobody', exec_id: '' };
const NO_EXEC = { container_id: '%{shared}', exec_id: 'nothing' };
const READY: Step = { call: 'ReadStdout', request: { ...INIT, len: 6 }, reply: { data: 'ready\n' } };
const TERM_7 = 'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done';

export const processes: readonly ConformanceCase[] = [
  {
    id: 'signal/to-an-exec-alone',
    rpc: 'SignalProcess',
    kind: 'normal',
    given: [{ use: 'running' }],
    steps: [
      { use: 'exec', with: { args: ['sh', '-c', TERM_7] } },
      { call: 'ReadStdout', request: { ...E1, len: 6 }, reply: { data: 'ready\n' } },
      { call: 'SignalProcess', request: { ...E1, signal: 15 } },
      { call: 'WaitProcess', request: E1, reply: { status: 7 } },
    ],
  },
  {
    id: 'signal/term-to-an-init-that-handles-it',
    rpc: 'SignalProcess',
    kind: 'edge',
    given: [{ use: 'running', with: { args: { $like: 'term-7' } } }, READY],
    steps: [
      { call: 'SignalProcess', request: { ...INIT, signal: 15 } },
      { call: 'WaitProcess', request: INIT, reply: { status: 7 } },
    ],
  },
  {
    id: 'signal/term-to-an-init-without-a-handler-kills',
    rpc: 'SignalProcess',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { call: 'SignalProcess', request: { ...INIT, signal: 15 } },
      { call: 'WaitProcess', request: INIT, reply: { status: 137 } },
    ],
  },
  {
    id: 'signal/kill-without-an-exec-id-kills-all',
    rpc: 'SignalProcess',
    kind: 'edge',
    given: [{ use: 'running' }, { use: 'exec' }],
    steps: [
      { call: 'SignalProcess', request: { ...INIT, signal: 9 } },
      { call: 'WaitProcess', request: INIT, reply: { status: 137 } },
      { call: 'WaitProcess', request: E1, reply: { status: 137 } },
    ],
  },
  {
    id: 'signal/the-init-by-the-container-s-id',
    rpc: 'SignalProcess',
    kind: 'edge',
    given: [{ use: 'running', with: { args: { $like: 'term-7' } } }, READY],
    steps: [
      { call: 'SignalProcess', request: { container_id: '%{id}', exec_id: '%{id}', signal: 15 } },
      { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: '%{id}' }, reply: { status: 7 } },
    ],
  },
  {
    id: 'signal/to-one-that-has-ended-is-a-success',
    rpc: 'SignalProcess',
    kind: 'edge',
    given: [{ use: 'running' }, { use: 'exec', with: { args: ['true'] } }, { collect: 'stdout', container: '%{id}', exec: 'e1' }],
    steps: [{ call: 'SignalProcess', request: { ...E1, signal: 15 } }],
  },
  {
    id: 'signal/nothing-and-a-real-time-one',
    rpc: 'SignalProcess',
    kind: 'edge',
    given: [{ use: 'running' }, { use: 'exec' }],
    steps: [
      { call: 'SignalProcess', request: { ...E1, signal: 0 } },
      { call: 'SignalProcess', request: { ...E1, signal: 40 } },
      { call: 'WaitProcess', request: E1, reply: { status: 168 } },
    ],
  },
  {
    id: 'signal/unknown-container',
    rpc: 'SignalProcess',
    kind: 'bad-input',
    steps: [
      {
        call: 'SignalProcess',
        request: { ...NOBODY, signal: 15 },
        fails: { code: 'INVALID_ARGUMENT', text: 'invalid ?container ?id' },
      },
      { call: 'SignalProcess', request: { ...NOBODY, signal: 9 }, fails: { code: 'INTERNAL', text: 'invalid container id' } },
    ],
  },
  {
    id: 'signal/unknown-exec',
    rpc: 'SignalProcess',
    kind: 'bad-input',
    steps: [{ call: 'SignalProcess', request: { ...NO_EXEC, signal: 15 }, fails: { code: 'NOT_FOUND' } }],
  },
  {
    id: 'signal/one-that-does-not-exist',
    rpc: 'SignalProcess',
    kind: 'bad-input',
    steps: [
      {
        call: 'SignalProcess',
        request: { container_id: '%{shared}', exec_id: '', signal: 4000 },
        fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'] },
      },
    ],
  },
  { id: 'signal/malformed', rpc: 'SignalProcess', kind: 'bad-input', steps: [malformed('SignalProcess')] },

  {
    id: 'wait/tells-the-exit-code',
    rpc: 'WaitProcess',
    kind: 'normal',
    given: [{ use: 'created', with: { args: ['sh', '-c', 'exit 42'] } }],
    steps: [
      { call: 'WaitProcess', request: INIT, later: 'exit' },
      { pending: 'exit' },
      { call: 'StartContainer', request: { container_id: '%{id}' } },
      { join: 'exit', reply: { status: 42 } },
    ],
  },
  {
    id: 'wait/several-at-once-get-the-same',
    rpc: 'WaitProcess',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { call: 'WaitProcess', request: INIT, later: 'one' },
      { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: '%{id}' }, later: 'two' },
      { call: 'WaitProcess', request: INIT, later: 'three', over: 'other' },
      { pending: 'three' },
      { call: 'SignalProcess', request: { ...INIT, signal: 9 } },
      { join: 'one', reply: { status: 137 } },
      { join: 'two', reply: { status: 137 } },
      { join: 'three', reply: { status: 137 } },
    ],
  },
  {
    id: 'wait/a-client-that-goes-takes-nothing-with-it',
    rpc: 'WaitProcess',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { call: 'WaitProcess', request: INIT, later: 'ghost', over: 'other' },
      { pending: 'ghost' },
      { hangUp: 'other' },
      { call: 'SignalProcess', request: { ...INIT, signal: 9 } },
      { call: 'WaitProcess', request: INIT, reply: { status: 137 } },
    ],
  },
  {
    id: 'wait/no-longer-than-the-deadline',
    rpc: 'WaitProcess',
    kind: 'edge',
    steps: [
      {
        call: 'WaitProcess',
        request: { container_id: '%{shared}', exec_id: '' },
        deadlineMs: 200,
        fails: { code: 'DEADLINE_EXCEEDED' },
      },
      { call: 'Check', reply: { status: 1 } },
    ],
  },
  {
    id: 'wait/unknown-container',
    rpc: 'WaitProcess',
    kind: 'bad-input',
    steps: [{ call: 'WaitProcess', request: NOBODY, fails: { code: 'INVALID_ARGUMENT', text: 'invalid ?container ?id' } }],
  },
  {
    id: 'wait/unknown-exec',
    rpc: 'WaitProcess',
    kind: 'bad-input',
    steps: [{ call: 'WaitProcess', request: NO_EXEC, fails: { code: 'NOT_FOUND' } }],
  },
  { id: 'wait/malformed', rpc: 'WaitProcess', kind: 'bad-input', steps: [malformed('WaitProcess')] },
];
