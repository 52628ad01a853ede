// The guest's links: UpdateInterface, ListInterfaces (kata-agent.md §3.11).
import type { ConformanceCase, Refusal } from '../case.ts';
import { GONE, INTERFACE, LINK, MAC, refusedOnLink, UP, V4, V6 } from './links.ts';
import { malformed } from './malformed.ts';

const NAMED: Refusal['code'] = ['INVALID_ARGUMENT', 'INTERNAL'];

export const interfaces: readonly ConformanceCase[] = [
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
  refusedOnLink(
    'update-interface',
    'UpdateInterface',
    'an-address-that-is-none',
    { interface: { ...INTERFACE, IPAddresses: [{ address: 'x', mask: '8' }] } },
    { code: NAMED },
  ),
  refusedOnLink(
    'update-interface',
    'UpdateInterface',
    'a-mask-that-is-none',
    { interface: { ...INTERFACE, IPAddresses: [{ address: '10.0.0.1', mask: '33' }] } },
    { code: NAMED },
  ),
  refusedOnLink(
    'update-interface',
    'UpdateInterface',
    'an-address-the-kernel-refuses',
    { interface: { ...INTERFACE, IPAddresses: [{ family: 1, address: 'ff02::5', mask: '64' }] } },
    { code: 'INTERNAL', text: 'update interface' },
  ),
  refusedOnLink(
    'update-interface',
    'UpdateInterface',
    'a-name-that-no-link-may-have',
    { interface: { ...INTERFACE, name: '../k%{n}' } },
    { code: NAMED },
  ),
  { id: 'update-interface/malformed', rpc: 'UpdateInterface', kind: 'bad-input', steps: [malformed('UpdateInterface')] },

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
];
