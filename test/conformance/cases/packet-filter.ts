// The guest's packet filter: GetIPTables, SetIPTables (kata-agent.md §3.1).
import type { ConformanceCase, Step } from '../case.ts';
import { malformed } from './malformed.ts';

const RULE_4 = '-A INPUT -s 192.0.2.%{n}/32 -j DROP';
const RULE_6 = '-A INPUT -s 2001:db8::%{n}/128 -j DROP';
const set = (rule: string, is_ipv6: boolean): Step => ({
  call: 'SetIPTables',
  request: { is_ipv6, data: `*filter\n${rule}\nCOMMIT\n` },
});
const FLUSH: readonly Step[] = [{ guest: 'iptables -F; ip6tables -F' }];

export const packetFilter: readonly ConformanceCase[] = [
  {
    id: 'set-iptables/rules-are-in-the-kernel',
    rpc: 'SetIPTables',
    kind: 'normal',
    steps: [set(RULE_4, false), { guest: 'iptables-save', prints: { $match: '192\\.0\\.2\\.%{n}/32 -j DROP' } }],
    finally: FLUSH,
  },
  {
    id: 'set-iptables/of-ipv6',
    rpc: 'SetIPTables',
    kind: 'edge',
    steps: [set(RULE_6, true), { guest: 'ip6tables-save', prints: { $match: '2001:db8::%{n}/128 -j DROP' } }],
    finally: FLUSH,
  },
  {
    id: 'set-iptables/new-rules-take-the-place-of-old-ones',
    rpc: 'SetIPTables',
    kind: 'edge',
    steps: [
      set(RULE_4, false),
      set('-A INPUT -s 198.51.100.%{n}/32 -j DROP', false),
      { guest: 'iptables-save', prints: { $not: { $match: '192\\.0\\.2\\.%{n}/32' } } },
    ],
    finally: FLUSH,
  },
  {
    id: 'set-iptables/rules-that-are-none-change-nothing',
    rpc: 'SetIPTables',
    kind: 'bad-input',
    given: [set(RULE_4, false)],
    steps: [
      { call: 'SetIPTables', request: { data: 'no rules\n' }, fails: { code: 'INTERNAL' } },
      { guest: 'iptables-save', prints: { $match: '192\\.0\\.2\\.%{n}/32 -j DROP' } },
    ],
    finally: FLUSH,
  },
  { id: 'set-iptables/malformed', rpc: 'SetIPTables', kind: 'bad-input', steps: [malformed('SetIPTables')] },
  {
    id: 'get-iptables/as-iptables-save-prints-them',
    rpc: 'GetIPTables',
    kind: 'normal',
    given: [set(RULE_4, false)],
    steps: [
      { call: 'GetIPTables', reply: { data: { $match: '^\\*filter$.*^-A INPUT -s 192\\.0\\.2\\.%{n}/32 -j DROP$.*^COMMIT$' } } },
    ],
    finally: FLUSH,
  },
  {
    id: 'get-iptables/of-ipv6-alone',
    rpc: 'GetIPTables',
    kind: 'edge',
    given: [set(RULE_4, false), set(RULE_6, true)],
    steps: [
      { call: 'GetIPTables', request: { is_ipv6: true }, reply: { data: { $match: '2001:db8::%{n}/128' } } },
      { call: 'GetIPTables', request: { is_ipv6: true }, reply: { data: { $not: { $match: '192\\.0\\.2' } } } },
    ],
    finally: FLUSH,
  },
  { id: 'get-iptables/malformed', rpc: 'GetIPTables', kind: 'bad-input', steps: [malformed('GetIPTables')] },
];
