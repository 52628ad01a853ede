// Standard streams: WriteStdin, CloseStdin, ReadStdout, ReadStderr, TtyWinResize (kata-agent.md §3.8).
import type { ConformanceCase, Step } from '../case.ts';
import { malformed } from './malformed.ts';

const INIT = { container_id: '%{id}', exec_id: '' };
const NOBODY = { container_id: 'nobody', exec_id: '' };
const NO_EXEC = { container_id: '%{shared}', exec_id: 'nothing' };
const CAT: Step = { use: 'running', with: { args: ['cat'] } };
const write = (data: string): Step => ({ call: 'WriteStdin', request: { ...INIT, data }, reply: { len: data.length } });

export const stdio: readonly ConformanceCase[] = [
  {
    id: 'write-stdin/tells-how-many-bytes-it-took',
    rpc: 'WriteStdin',
    kind: 'normal',
    given: [CAT],
    steps: [write('hello\n'), { call: 'ReadStdout', request: { ...INIT, len: 100 }, reply: { data: 'hello\n' } }],
  },
  {
    id: 'write-stdin/no-data-is-the-end-of-input',
    rpc: 'WriteStdin',
    kind: 'edge',
    given: [CAT],
    steps: [write('last'), write(''), { use: 'runs-to-its-end', with: { prints: 'last' } }],
  },
  {
    id: 'write-stdin/before-the-start',
    rpc: 'WriteStdin',
    kind: 'edge',
    given: [{ use: 'created', with: { args: ['cat'] } }],
    steps: [
      write('early\n'),
      { call: 'StartContainer', request: { container_id: '%{id}' } },
      { call: 'ReadStdout', request: { ...INIT, len: 100 }, reply: { data: 'early\n' } },
    ],
  },
  {
    id: 'write-stdin/waits-for-a-process-that-does-not-read',
    rpc: 'WriteStdin',
    kind: 'edge',
    given: [{ use: 'running', with: { args: ['sh', '-c', 'sleep 2; wc -c'] } }],
    steps: [
      { call: 'WriteStdin', request: { ...INIT, data: { $repeat: 'x', $times: 300_000 } }, later: 'write' },
      { call: 'Check', reply: { status: 1 } },
      { call: 'WriteStdin', request: { ...INIT, data: '\n' }, later: 'go' },
      { join: 'write', reply: { len: 300_000 } },
      { join: 'go', reply: { len: 1 } },
      write('tail'),
      write(''),
      { use: 'runs-to-its-end', with: { prints: '300005\n' } },
    ],
  },
  {
    id: 'write-stdin/after-its-end',
    rpc: 'WriteStdin',
    kind: 'bad-input',
    given: [{ use: 'running' }, { call: 'CloseStdin', request: INIT }],
    steps: [{ call: 'WriteStdin', request: { ...INIT, data: 'x' }, fails: { code: 'INTERNAL', text: 'Cannot get writer' } }],
  },
  {
    id: 'write-stdin/to-a-process-that-has-closed-it',
    rpc: 'WriteStdin',
    kind: 'bad-input',
    given: [
      { use: 'running', with: { args: ['sh', '-c', 'exec <&-; echo closed; exec sleep inf'] } },
      { call: 'ReadStdout', request: { ...INIT, len: 7 }, reply: { data: 'closed\n' } },
    ],
    steps: [{ call: 'WriteStdin', request: { ...INIT, data: 'x' }, fails: { code: 'INTERNAL', text: 'EPIPE' } }],
  },
  {
    id: 'write-stdin/unknown-container-and-exec',
    rpc: 'WriteStdin',
    kind: 'bad-input',
    steps: [
      { call: 'WriteStdin', request: { ...NOBODY, data: 'x' }, fails: { code: 'INTERNAL', text: 'invalid ?container ?id' } },
      { call: 'WriteStdin', request: { ...NO_EXEC, data: 'x' }, fails: { code: 'INTERNAL' } },
    ],
  },
  { id: 'write-stdin/malformed', rpc: 'WriteStdin', kind: 'bad-input', steps: [malformed('WriteStdin')] },

  {
    id: 'close-stdin/is-the-end-of-input',
    rpc: 'CloseStdin',
    kind: 'normal',
    given: [CAT],
    steps: [write('last'), { call: 'CloseStdin', request: INIT }, { use: 'runs-to-its-end', with: { prints: 'last' } }],
  },
  {
    id: 'close-stdin/twice',
    rpc: 'CloseStdin',
    kind: 'edge',
    given: [CAT],
    steps: [
      { call: 'CloseStdin', request: INIT },
      { call: 'CloseStdin', request: { container_id: '%{id}', exec_id: '%{id}' } },
      { use: 'runs-to-its-end' },
    ],
  },
  {
    id: 'close-stdin/of-a-terminal-is-told-to-the-reader',
    rpc: 'CloseStdin',
    kind: 'edge',
    given: [{ use: 'running', with: { args: ['cat'], tty: true } }],
    steps: [
      { call: 'CloseStdin', request: INIT },
      { call: 'WaitProcess', request: INIT, reply: { status: 0 } },
    ],
  },
  {
    id: 'close-stdin/unknown-container-and-exec',
    rpc: 'CloseStdin',
    kind: 'bad-input',
    steps: [
      { call: 'CloseStdin', request: NOBODY, fails: { code: 'INVALID_ARGUMENT', text: 'invalid ?container ?id' } },
      { call: 'CloseStdin', request: NO_EXEC, fails: { code: 'NOT_FOUND' } },
    ],
  },
  { id: 'close-stdin/malformed', rpc: 'CloseStdin', kind: 'bad-input', steps: [malformed('CloseStdin')] },

  ...(['stdout', 'stderr'] as const).flatMap((stream): ConformanceCase[] => {
    const rpc = stream === 'stdout' ? 'ReadStdout' : 'ReadStderr';
    const to = stream === 'stdout' ? '' : ' >&2';
    return [
      {
        id: `read-${stream}/gives-what-is-there-and-an-empty-end`,
        rpc,
        kind: 'normal',
        given: [{ use: 'running', with: { args: ['sh', '-c', `read go; printf some${to}`] } }],
        steps: [
          { call: rpc, request: { ...INIT, len: 32_768 }, later: 'first' },
          { pending: 'first' },
          write('go\n'),
          { join: 'first', reply: { data: 'some' } },
          { call: rpc, request: { ...INIT, len: 32_768 }, reply: { data: '' } },
          { call: rpc, request: { ...INIT, len: 32_768 }, reply: { data: '' } },
        ],
      },
      {
        id: `read-${stream}/no-more-than-asked-for`,
        rpc,
        kind: 'edge',
        given: [{ use: 'running', with: { args: ['sh', '-c', `printf abcdef${to}; exec sleep inf`] } }],
        steps: [
          { call: rpc, request: { ...INIT, len: 2 }, reply: { data: 'ab' } },
          { call: rpc, request: { container_id: '%{id}', exec_id: '%{id}', len: 4 }, reply: { data: 'cdef' } },
        ],
      },
      {
        id: `read-${stream}/a-length-of-4-gib-costs-nothing`,
        rpc,
        kind: 'edge',
        given: [{ use: 'running', with: { args: ['sh', '-c', `printf a${to}; exec sleep inf`] } }],
        steps: [{ call: rpc, request: { ...INIT, len: 4_294_967_295 }, reply: { data: 'a' } }],
      },
      {
        id: `read-${stream}/ends-although-a-child-holds-the-pipe`,
        rpc,
        kind: 'edge',
        given: [{ use: 'running', with: { args: ['sh', '-c', 'sleep inf & echo $!; exec sleep inf'] } }],
        steps: [
          { use: 'exec', with: { args: ['sh', '-c', `sleep 20 & printf end${to}`] } },
          { collect: stream, container: '%{id}', exec: 'e1', text: 'end' },
          { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: 'e1' }, reply: { status: 0 } },
        ],
      },
      {
        id: `read-${stream}/unknown-container-and-exec`,
        rpc,
        kind: 'bad-input',
        steps: [
          { call: rpc, request: { ...NOBODY, len: 1 }, fails: { code: 'INVALID_ARGUMENT', text: 'invalid ?container ?id' } },
          { call: rpc, request: { ...NO_EXEC, len: 1 }, fails: { code: 'NOT_FOUND' } },
        ],
      },
      { id: `read-${stream}/malformed`, rpc, kind: 'bad-input', steps: [malformed(rpc)] },
    ];
  }),
  {
    id: 'read-stdout/many-bytes-whole-and-in-order',
    rpc: 'ReadStdout',
    kind: 'edge',
    given: [{ use: 'running', with: { args: ['sh', '-c', 'seq 1 60000'] } }],
    steps: [{ collect: 'stdout', container: '%{id}', text: { $match: '^1\n2\n.*\n59999\n60000\n$' } }],
  },

  {
    id: 'tty-resize/is-told-to-the-program',
    rpc: 'TtyWinResize',
    kind: 'normal',
    given: [
      { use: 'running', with: { args: ['sh', '-c', 'stty -echo; echo ready; read go; stty size'], tty: true } },
      { call: 'ReadStdout', request: { ...INIT, len: 7 }, reply: { data: 'ready\r\n' } },
    ],
    steps: [
      { call: 'TtyWinResize', request: { ...INIT, row: 41, column: 113 } },
      write('\n'),
      { collect: 'stdout', container: '%{id}', text: '41 113\r\n' },
    ],
  },
  {
    id: 'tty-resize/of-an-exec-before-it-looks',
    rpc: 'TtyWinResize',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { use: 'exec', with: { args: ['sh', '-c', 'stty -echo; read go; stty size'], tty: true } },
      { call: 'TtyWinResize', request: { container_id: '%{id}', exec_id: 'e1', row: 200, column: 300 } },
      { call: 'WriteStdin', request: { container_id: '%{id}', exec_id: 'e1', data: '\n' } },
      { collect: 'stdout', container: '%{id}', exec: 'e1', text: { $match: '200 300\r\n$' } },
    ],
  },
  {
    id: 'tty-resize/a-process-without-a-terminal',
    rpc: 'TtyWinResize',
    kind: 'bad-input',
    steps: [
      {
        call: 'TtyWinResize',
        request: { container_id: '%{shared}', exec_id: '', row: 1, column: 1 },
        fails: { code: 'UNAVAILABLE', text: 'no tty' },
      },
    ],
  },
  {
    id: 'tty-resize/unknown-container-and-exec',
    rpc: 'TtyWinResize',
    kind: 'bad-input',
    steps: [
      {
        call: 'TtyWinResize',
        request: { ...NOBODY, row: 1, column: 1 },
        fails: { code: 'INVALID_ARGUMENT', text: 'invalid ?container ?id' },
      },
      { call: 'TtyWinResize', request: { ...NO_EXEC, row: 1, column: 1 }, fails: { code: 'NOT_FOUND' } },
    ],
  },
  { id: 'tty-resize/malformed', rpc: 'TtyWinResize', kind: 'bad-input', steps: [malformed('TtyWinResize')] },
];
