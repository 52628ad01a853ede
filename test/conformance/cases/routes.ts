// Where the guest's packets go: UpdateRoutes, ListRoutes, AddARPNeighbors (kata-agent.md §3.11).
import type { ConformanceCase, Data, Refusal } from '../case.ts';
import { GONE, refusedOnLink, UP } from './links.ts';
import { malformed } from './malformed.ts';

const NO_LINK: Refusal = { code: 'INTERNAL', text: 'Link not found' };
const NAMED: Refusal['code'] = ['INVALID_ARGUMENT', 'INTERNAL'];
const route = (change: { [name: string]: Data }): Data => ({ routes: { Routes: [{ device: 'k%{n}', ...change }] } });
const neighbour = (change: { [name: string]: Data }): Data => ({
  neighbors: { ARPNeighbors: [{ device: 'k%{n}', lladdr: '02:00:00:00:00:99', ...change }] },
});

export const routes: readonly ConformanceCase[] = [
  {
    id: 'update-routes/answers-with-all-there-are',
    rpc: 'UpdateRoutes',
    kind: 'normal',
    given: UP,
    steps: [
      {
        call: 'UpdateRoutes',
        request: {
          routes: {
            Routes: [
              { dest: '172.29.%{n}.0/24', gateway: '169.254.7.%{n}', device: 'k%{n}', source: '10.77.%{n}.5', mtu: 1300 },
              { dest: '169.254.7.%{n}/32', device: 'k%{n}', scope: 253 },
              { dest: '2001:db8:%{n}::/48', gateway: 'fd77:%{n}::1', device: 'k%{n}', family: 1 },
            ],
          },
        },
        reply: {
          Routes: {
            $has: [
              { dest: '172.29.%{n}.0/24', gateway: '169.254.7.%{n}', device: 'k%{n}' },
              { dest: '169.254.7.%{n}/32', device: 'k%{n}', scope: 253 },
              { dest: '10.77.%{n}.0/24', device: 'k%{n}' },
              { dest: '2001:db8:%{n}::/48', gateway: 'fd77:%{n}::1' },
            ],
          },
        },
      },
      {
        guest: 'ip route show 172.29.%{n}.0/24',
        prints: { $match: 'via 169\\.254\\.7\\.%{n} .*src 10\\.77\\.%{n}\\.5.*mtu 1300' },
      },
    ],
    finally: GONE,
  },
  {
    id: 'update-routes/a-default-route-of-each-family',
    rpc: 'UpdateRoutes',
    kind: 'edge',
    given: UP,
    steps: [
      {
        call: 'UpdateRoutes',
        request: {
          routes: {
            Routes: [
              { dest: '', gateway: '10.77.%{n}.1', device: 'k%{n}' },
              { dest: '', gateway: 'fd77:%{n}::1', device: 'k%{n}', family: 1 },
            ],
          },
        },
      },
      {
        guest: 'ip route show default; ip -6 route show default',
        prints: { $match: 'via 10\\.77\\.%{n}\\.1 dev k%{n}.*via fd77:%{n}::1 dev k%{n}' },
      },
    ],
    finally: GONE,
  },
  {
    id: 'update-routes/again-and-what-is-there-stays',
    rpc: 'UpdateRoutes',
    kind: 'edge',
    given: UP,
    steps: [
      { call: 'UpdateRoutes', request: route({ dest: '198.51.100.0/24', gateway: '10.77.%{n}.1' }) },
      { call: 'UpdateRoutes', request: route({ dest: '198.51.100.0/24', gateway: '10.77.%{n}.1' }) },
      {
        call: 'UpdateRoutes',
        request: { routes: {} },
        reply: { Routes: { $has: [{ dest: '198.51.100.0/24' }, { dest: '10.77.%{n}.0/24' }] } },
      },
    ],
    finally: GONE,
  },
  {
    id: 'update-routes/nothing',
    rpc: 'UpdateRoutes',
    kind: 'bad-input',
    steps: [{ call: 'UpdateRoutes', fails: { code: 'INVALID_ARGUMENT', text: 'empty update routes request' } }],
  },
  refusedOnLink('update-routes', 'UpdateRoutes', 'by-an-unknown-device', route({ dest: '198.51.100.0/24', device: 'eth9' }), {
    ...NO_LINK,
    text: 'Failed to update routes:.*Link not found',
  }),
  refusedOnLink(
    'update-routes',
    'UpdateRoutes',
    'by-a-gateway-out-of-reach',
    route({ dest: '198.51.100.0/24', gateway: '203.0.113.1' }),
    {
      code: 'INTERNAL',
      text: 'Failed to update routes',
    },
  ),
  refusedOnLink('update-routes', 'UpdateRoutes', 'to-what-is-no-prefix', route({ dest: '-4' }), { code: NAMED }),
  refusedOnLink('update-routes', 'UpdateRoutes', 'of-two-families', route({ dest: '198.51.100.0/24', gateway: 'fd77::1' }), {
    code: NAMED,
  }),
  { id: 'update-routes/malformed', rpc: 'UpdateRoutes', kind: 'bad-input', steps: [malformed('UpdateRoutes')] },

  {
    id: 'list-routes/of-the-main-table',
    rpc: 'ListRoutes',
    kind: 'normal',
    given: UP,
    steps: [
      {
        call: 'ListRoutes',
        reply: { Routes: { $has: [{ dest: '10.77.%{n}.0/24', device: 'k%{n}', gateway: '', scope: 253 }] } },
      },
    ],
    finally: GONE,
  },
  {
    id: 'list-routes/not-of-other-tables',
    rpc: 'ListRoutes',
    kind: 'edge',
    given: [...UP, { guest: 'ip route add 192.0.2.0/24 dev k%{n} table 77' }],
    steps: [{ call: 'ListRoutes', reply: { Routes: { $not: { $has: [{ dest: '192.0.2.0/24' }] } } } }],
    finally: GONE,
  },
  { id: 'list-routes/malformed', rpc: 'ListRoutes', kind: 'bad-input', steps: [malformed('ListRoutes')] },

  {
    id: 'arp/neighbours-of-both-families',
    rpc: 'AddARPNeighbors',
    kind: 'normal',
    given: UP,
    steps: [
      { call: 'AddARPNeighbors', request: neighbour({ toIPAddress: { address: '10.77.%{n}.9' } }) },
      { call: 'AddARPNeighbors', request: neighbour({ toIPAddress: { family: 1, address: 'fd77:%{n}::9' }, state: 0x80 }) },
      {
        guest: 'ip neigh show dev k%{n} nud permanent | sort',
        prints: { $match: '10\\.77\\.%{n}\\.9 lladdr 02:00:00:00:00:99.*fd77:%{n}::9 lladdr 02:00:00:00:00:99' },
      },
    ],
    finally: GONE,
  },
  {
    id: 'arp/one-that-is-there-is-replaced',
    rpc: 'AddARPNeighbors',
    kind: 'edge',
    given: UP,
    steps: [
      { call: 'AddARPNeighbors', request: neighbour({ toIPAddress: { address: '10.77.%{n}.9' } }) },
      { call: 'AddARPNeighbors', request: neighbour({ toIPAddress: { address: '10.77.%{n}.9' }, lladdr: '02:00:00:00:00:98' }) },
      { guest: 'ip neigh show 10.77.%{n}.9', prints: { $match: '02:00:00:00:00:98 PERMANENT' } },
    ],
    finally: GONE,
  },
  {
    id: 'arp/an-empty-list',
    rpc: 'AddARPNeighbors',
    kind: 'edge',
    steps: [{ call: 'AddARPNeighbors', request: { neighbors: {} } }],
  },
  {
    id: 'arp/nothing',
    rpc: 'AddARPNeighbors',
    kind: 'bad-input',
    steps: [{ call: 'AddARPNeighbors', fails: { code: 'INVALID_ARGUMENT', text: 'empty add arp neighbours request' } }],
  },
  refusedOnLink(
    'arp',
    'AddARPNeighbors',
    'without-an-address-of-the-card',
    neighbour({ toIPAddress: { address: '10.77.%{n}.8' }, lladdr: '' }),
    { code: ['INTERNAL', 'INVALID_ARGUMENT'], text: 'Failed to add ARP neighbours|lladdr' },
  ),
  refusedOnLink(
    'arp',
    'AddARPNeighbors',
    'on-an-unknown-device',
    neighbour({ toIPAddress: { address: '10.77.%{n}.8' }, device: 'eth9' }),
    {
      code: 'INTERNAL',
      text: 'Failed to add ARP neighbours',
    },
  ),
  refusedOnLink('arp', 'AddARPNeighbors', 'an-address-that-is-none', neighbour({ toIPAddress: { address: '10.77' } }), {
    code: NAMED,
  }),
  { id: 'arp/malformed', rpc: 'AddARPNeighbors', kind: 'bad-input', steps: [malformed('AddARPNeighbors')] },
];
