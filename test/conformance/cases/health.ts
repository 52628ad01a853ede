// grpc.Health: Check and Version (kata-agent.md §2.5).
import type { ConformanceCase } from '../case.ts';
import { malformed, UNKNOWN_FIELD_PAYLOAD } from './malformed.ts';

export const health: readonly ConformanceCase[] = [
  { id: 'check/serving', rpc: 'Check', kind: 'normal', steps: [{ call: 'Check', reply: { status: 1 } }] },
  {
    id: 'check/whatever-service-is-named',
    rpc: 'Check',
    kind: 'edge',
    steps: [{ call: 'Check', request: { service: 'no.such.Service' }, reply: { status: 1 } }],
  },
  {
    id: 'check/while-other-calls-wait',
    rpc: 'Check',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: '' }, later: 'wait' },
      { call: 'ReadStdout', request: { container_id: '%{id}', exec_id: '', len: 10 }, later: 'out' },
      { call: 'ReadStderr', request: { container_id: '%{id}', exec_id: '', len: 10 }, later: 'err' },
      { call: 'Check', reply: { status: 1 }, deadlineMs: 1000 },
      { pending: 'wait', forMs: 0 },
      { pending: 'out', forMs: 0 },
      { pending: 'err', forMs: 0 },
    ],
  },
  {
    id: 'check/with-a-field-of-a-later-version',
    rpc: 'Check',
    kind: 'edge',
    steps: [{ call: 'Check', payload: UNKNOWN_FIELD_PAYLOAD, reply: { status: 1 } }],
  },
  {
    id: 'check/malformed-and-the-connection-stays',
    rpc: 'Check',
    kind: 'bad-input',
    steps: [malformed('Check'), { call: 'Check', reply: { status: 1 } }],
  },
  {
    id: 'version/of-protocol-and-agent',
    rpc: 'Version',
    kind: 'normal',
    steps: [{ call: 'Version', reply: { grpc_version: '0.0.1', agent_version: { $match: '^\\d+\\.\\d+\\.\\d+' } } }],
  },
  {
    id: 'version/with-a-field-of-a-later-version',
    rpc: 'Version',
    kind: 'edge',
    steps: [{ call: 'Version', payload: UNKNOWN_FIELD_PAYLOAD, reply: { grpc_version: '0.0.1' } }],
  },
  { id: 'version/malformed', rpc: 'Version', kind: 'bad-input', steps: [malformed('Version')] },
];
