// The guest's network on links of the case's own: UpdateInterface, UpdateRoutes, ListInterfaces, ListRoutes, AddARPNeighbors
// (kata-agent.md §3.11). Each case makes a pair of veth and takes it away.
import type { ConformanceCase, Data, Refusal, Step } from '../case.ts';
import { malformed } from './malformed.ts';

const MAC = '02:00:00:00:aa:%{nn}';
const LINK: Step = { guest: `ip link add m%{n} address ${MAC} type veth peer name p%{n}` };
const GONE: readonly Step[] = [{ guest: 'ip link del m%{n} 2>/dev/null || ip link del k%{n} 2>/dev/null || ip link del p%{n}' }];
const V4 = { family: 0, address: '10.77.%{n}.5', mask: '24' };
const V6 = { family: 1, address: 'fd77:%{n}::5', mask: '64' };
const INTERFACE = { device: 'k%{n}', name: 'k%{n}', hwAddr: MAC, mtu: 1400, type: 'veth', IPAddresses: [V4, V6] };
const UP: readonly Step[] = [LINK, { call: 'UpdateInterface', request: { interface: INTERFACE } }];
const NO_LINK: Refusal = { code: 'INTERNAL', text: 'Link not found' };
const NAMED: Refusal['code'] = ['INVALID_ARGUMENT', 'INTERNAL'];
const route = (change: { [name: string]: Data }): Data => ({ routes: { Routes: [{ device: 'k%{n}', ...change }] } });
const neighbour = (change: { [name: string]: Data }): Data => ({
  neighbors: { ARPNeighbors: [{ device: 'k%{n}', lladdr: '02:00:00:00:00:99', ...change }] },
});

/** A call that has to fail on a link that is there and stays as it is. */
function refused(rpc: string, id: string, request: Data, fails: Refusal): ConformanceCase {
  const family = { UpdateInterface: 'update-interface', UpdateRoutes: 'update-routes' }[rpc] ?? 'arp';
  return {
    id: `${family}/${id}`,
    rpc,
    kind: 'bad-input',
    given: UP,
    steps: [
      { guest: 'ip addr show k%{n}; ip route show table main; ip neigh show dev k%{n}', as: 'before' },
      { call: rpc, request, fails },
      { guest: 'ip addr show k%{n}; ip route show table main; ip neigh show dev k%{n}', prints: '%{before}' },
    ],
    finally: GONE,
  };
}

export const network: readonly ConformanceCase[] = [
  {
    id: 'update-interface/name-addresses-mtu-and-up',
    rpc: 'UpdateInterface',
    kind: 'normal',
    given: [LINK],
    steps: [
      {
        call: 'UpdateInterface',
        request: { interface: { ...INTERFACE, raw_flags: 0x1043 } },
        reply: { name: 'k%{n}', hwAddr: MAC, mtu: 1400, IPAddresses: [V4, V6], raw_flags: 0x1043 },
      },
      { guest: 'ip link show k%{n}', prints: { $match: '[<,]UP[,>].* mtu 1400 ' } },
      { guest: 'ip -4 -o addr show k%{n}', prints: { $match: 'inet 10\\.77\\.%{n}\\.5/24' } },
      { guest: 'ip -6 -o addr show k%{n} scope global', prints: { $match: 'inet6 fd77:%{n}::5/64' } },
    ],
    finally: GONE,
  },
  {
    id: 'update-interface/the-address-in-upper-case-and-no-arp',
    rpc: 'UpdateInterface',
    kind: 'edge',
    given: [LINK],
    steps: [
      { call: 'UpdateInterface', request: { interface: { ...INTERFACE, hwAddr: '02:00:00:00:AA:%{nn}', raw_flags: 0x80 } } },
      { guest: 'ip link show k%{n}', prints: { $match: 'NOARP' } },
    ],
    finally: GONE,
  },
  {
    id: 'update-interface/by-name-takes-the-new-address-of-the-card',
    rpc: 'UpdateInterface',
    kind: 'edge',
    given: [{ guest: 'ip link add k%{n} type veth peer name p%{n}' }],
    steps: [
      { call: 'UpdateInterface', request: { interface: INTERFACE } },
      { guest: 'cat /sys/class/net/k%{n}/address', prints: MAC },
    ],
    finally: GONE,
  },
  {
    id: 'update-interface/addresses-that-are-there-stay',
    rpc: 'UpdateInterface',
    kind: 'edge',
    given: UP,
    steps: [
      { call: 'UpdateInterface', request: { interface: { ...INTERFACE, IPAddresses: [{ ...V4, address: '10.77.%{n}.6' }] } } },
      { guest: "ip -4 -o addr show k%{n} | grep -o '10\\.77\\.[0-9.]*/24' | sort", prints: '10.77.%{n}.5/24\n10.77.%{n}.6/24' },
    ],
    finally: GONE,
  },
  {
    id: 'update-interface/a-name-that-another-link-has-is-swapped',
    rpc: 'UpdateInterface',
    kind: 'edge',
    given: [LINK, { guest: 'ip link add k%{n} address 02:00:00:00:cc:%{nn} type veth peer name q%{n}' }],
    steps: [
      { call: 'UpdateInterface', request: { interface: INTERFACE } },
      { guest: 'cat /sys/class/net/k%{n}/address', prints: MAC },
      { guest: 'grep -l 02:00:00:00:cc:%{nn} /sys/class/net/*/address | wc -l', prints: '1' },
    ],
    finally: [{ guest: 'ip link del q%{n}; ip link del p%{n}' }],
  },
  {
    id: 'update-interface/nothing',
    rpc: 'UpdateInterface',
    kind: 'bad-input',
    steps: [{ call: 'UpdateInterface', fails: { code: 'INVALID_ARGUMENT', text: 'empty update interface request' } }],
  },
  {
    id: 'update-interface/a-card-that-is-not-there-yet',
    rpc: 'UpdateInterface',
    kind: 'bad-input',
    steps: [
      {
        call: 'UpdateInterface',
        request: { interface: { name: 'later', hwAddr: '02:00:00:00:bb:%{nn}' } },
        fails: { code: 'INTERNAL', text: 'update interface:.*Link not found' },
      },
    ],
  },
  {
    id: 'update-interface/a-card-on-the-bus-that-does-not-come',
    rpc: 'UpdateInterface',
    kind: 'bad-input',
    steps: [
      {
        call: 'UpdateInterface',
        request: { interface: { ...INTERFACE, devicePath: '1e/1e' } },
        fails: { code: ['INTERNAL', 'DEADLINE_EXCEEDED'], text: '1e' },
      },
    ],
  },
  refused(
    'UpdateInterface',
    'an-address-that-is-none',
    { interface: { ...INTERFACE, IPAddresses: [{ address: 'x', mask: '8' }] } },
    { code: NAMED },
  ),
  refused(
    'UpdateInterface',
    'a-mask-that-is-none',
    { interface: { ...INTERFACE, IPAddresses: [{ address: '10.0.0.1', mask: '33' }] } },
    { code: NAMED },
  ),
  refused(
    'UpdateInterface',
    'an-address-the-kernel-refuses',
    { interface: { ...INTERFACE, IPAddresses: [{ family: 1, address: 'ff02::5', mask: '64' }] } },
    { code: 'INTERNAL', text: 'update interface' },
  ),
  refused('UpdateInterface', 'a-name-that-no-link-may-have', { interface: { ...INTERFACE, name: '../k%{n}' } }, { code: NAMED }),
  { id: 'update-interface/malformed', rpc: 'UpdateInterface', kind: 'bad-input', steps: [malformed('UpdateInterface')] },

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
  refused('UpdateRoutes', 'by-an-unknown-device', route({ dest: '198.51.100.0/24', device: 'eth9' }), {
    ...NO_LINK,
    text: 'Failed to update routes:.*Link not found',
  }),
  refused('UpdateRoutes', 'by-a-gateway-out-of-reach', route({ dest: '198.51.100.0/24', gateway: '203.0.113.1' }), {
    code: 'INTERNAL',
    text: 'Failed to update routes',
  }),
  refused('UpdateRoutes', 'to-what-is-no-prefix', route({ dest: '-4' }), { code: NAMED }),
  refused('UpdateRoutes', 'of-two-families', route({ dest: '198.51.100.0/24', gateway: 'fd77::1' }), { code: NAMED }),
  { id: 'update-routes/malformed', rpc: 'UpdateRoutes', kind: 'bad-input', steps: [malformed('UpdateRoutes')] },

  {
    id: 'list-interfaces/with-addresses-of-both-families',
    rpc: 'ListInterfaces',
    kind: 'normal',
    given: UP,
    steps: [
      {
        call: 'ListInterfaces',
        reply: {
          Interfaces: {
            $has: [
              { name: 'k%{n}', device: 'k%{n}', hwAddr: MAC, mtu: 1400, IPAddresses: { $has: [V4, V6] } },
              { name: 'lo', IPAddresses: { $has: [{ family: 0, address: '127.0.0.1', mask: '8' }] } },
            ],
          },
        },
      },
    ],
    finally: GONE,
  },
  {
    id: 'list-interfaces/one-that-is-down',
    rpc: 'ListInterfaces',
    kind: 'edge',
    given: [LINK],
    steps: [{ call: 'ListInterfaces', reply: { Interfaces: { $has: [{ name: 'm%{n}', IPAddresses: [] }] } } }],
    finally: GONE,
  },
  { id: 'list-interfaces/malformed', rpc: 'ListInterfaces', kind: 'bad-input', steps: [malformed('ListInterfaces')] },

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
  refused(
    'AddARPNeighbors',
    'without-an-address-of-the-card',
    neighbour({ toIPAddress: { address: '10.77.%{n}.8' }, lladdr: '' }),
    { code: ['INTERNAL', 'INVALID_ARGUMENT'], text: 'Failed to add ARP neighbours|lladdr' },
  ),
  refused('AddARPNeighbors', 'on-an-unknown-device', neighbour({ toIPAddress: { address: '10.77.%{n}.8' }, device: 'eth9' }), {
    code: 'INTERNAL',
    text: 'Failed to add ARP neighbours',
  }),
  refused('AddARPNeighbors', 'an-address-that-is-none', neighbour({ toIPAddress: { address: '10.77' } }), { code: NAMED }),
  { id: 'arp/malformed', rpc: 'AddARPNeighbors', kind: 'bad-input', steps: [malformed('AddARPNeighbors')] },
];
