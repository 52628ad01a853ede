// What Kata's default build answers without doing it: mem-agent off, no policy (kata-agent.md §3.15).
import type { ConformanceCase, Data, Refusal } from '../case.ts';
import { malformed } from './malformed.ts';

const OFF: Refusal = { code: 'INTERNAL', text: 'mem-agent is disabled' };

const off = (rpc: string, id: string, kind: ConformanceCase['kind'], request: Data): ConformanceCase => ({
  id: `${id}`,
  rpc,
  kind,
  steps: [
    { call: rpc, request, fails: OFF },
    { call: 'Check', reply: { status: 1 } },
  ],
});

export const defaultBuild: readonly ConformanceCase[] = [
  off('MemAgentMemcgSet', 'mem-agent-memcg/is-off', 'normal', { disabled: false, swap: true, swappiness_max: 50 }),
  off('MemAgentMemcgSet', 'mem-agent-memcg/of-zero-values', 'edge', { disabled: false, swappiness_max: 0, period_secs: 0 }),
  { id: 'mem-agent-memcg/malformed', rpc: 'MemAgentMemcgSet', kind: 'bad-input', steps: [malformed('MemAgentMemcgSet')] },
  off('MemAgentCompactSet', 'mem-agent-compact/is-off', 'normal', { disabled: false, compact_order: 9, compact_sec_max: 30 }),
  off('MemAgentCompactSet', 'mem-agent-compact/of-extremes', 'edge', {
    compact_sec_max: -1,
    compact_force_times: '18446744073709551615',
  }),
  { id: 'mem-agent-compact/malformed', rpc: 'MemAgentCompactSet', kind: 'bad-input', steps: [malformed('MemAgentCompactSet')] },
  {
    id: 'set-policy/of-a-build-without-one',
    rpc: 'SetPolicy',
    kind: 'normal',
    steps: [
      {
        call: 'SetPolicy',
        request: { policy: 'package agent_policy\n\ndefault AllowRequestsFailingPolicy := true\n' },
        fails: { code: ['UNIMPLEMENTED', 'INVALID_ARGUMENT'] },
      },
      { call: 'Check', reply: { status: 1 } },
    ],
  },
  {
    id: 'set-policy/of-nothing',
    rpc: 'SetPolicy',
    kind: 'edge',
    steps: [{ call: 'SetPolicy', fails: { code: ['UNIMPLEMENTED', 'INVALID_ARGUMENT'] } }],
  },
  { id: 'set-policy/malformed', rpc: 'SetPolicy', kind: 'bad-input', steps: [malformed('SetPolicy')] },
];
