import assert from 'node:assert/strict';
import { type Neighbour, replaceNeighbour } from '../../../../agent/guest/network/neighbour.ts';
import { inOrder, parseRoutes, type Route, replaceRoute } from '../../../../agent/guest/network/route.ts';

const route = (change: Partial<Route> = {}): Route => ({
  family: 4,
  destination: { family: 4, address: '10.9.0.0', length: 16 },
  gateway: undefined,
  device: 'eth0',
  preferredSource: undefined,
  sourcePrefix: undefined,
  scope: 0,
  flags: 0,
  mtu: 0,
  ...change,
});
const line = ({ words }: { words: readonly string[] }) => words.join(' ');

describe('the routes `ip` lists', () => {
  // iproute2 6.1 on Linux 6.18, with -json -details -Numeric.
  const V4 =
    '[{"type":"1","dst":"default","gateway":"169.254.1.1","dev":"v0","protocol":"3","scope":"0","flags":["onlink"]},' +
    '{"type":"1","dst":"10.0.0.0/24","dev":"v0","protocol":"2","scope":"253","prefsrc":"10.0.0.1","flags":[]},' +
    '{"type":"1","dst":"10.5.0.0/16","protocol":"3","scope":"0","flags":[],"nexthops":[{"gateway":"10.0.0.7","dev":"v0","weight":1,"flags":[]},{"gateway":"10.0.0.8","dev":"v1","weight":1,"flags":["linkdown"]}]},' +
    '{"type":"1","dst":"10.9.0.7","gateway":"10.0.0.9","dev":"v0","protocol":"3","scope":"0","prefsrc":"10.0.0.1","flags":[],"metrics":[{"mtu":1400}]},' +
    '{"type":"1","dst":"10.6.0.0/16","via":{"family":"inet6","host":"fe80::1"},"dev":"v0","protocol":"3","scope":"0","flags":[]},' +
    '{"type":"6","dst":"10.77.0.0/16","protocol":"3","scope":"0","flags":[]}]';
  const V6 =
    '[{"type":"1","dst":"fd01::/64","dev":"v0","protocol":"3","scope":"0","prefsrc":"fd00::1","metric":1024,"flags":[],"pref":"medium"},' +
    '{"type":"1","dst":"default","from":"fd02::/64","gateway":"fe80::9","dev":"v0","protocol":"3","scope":"0","metric":1024,"flags":[],"metrics":[{"mtu":1300}],"pref":"medium"}]';

  it('have destination, gateway, device, source, scope, flags and MTU', () => {
    const prefix = (address: string, length: number) => ({ family: 4, address, length }) as const;
    const gateway = (address: string) => ({ family: 4, address }) as const;
    assert.deepEqual(parseRoutes(V4, 4), [
      route({ destination: undefined, gateway: gateway('169.254.1.1'), device: 'v0', flags: 4 }),
      route({ destination: prefix('10.0.0.0', 24), device: 'v0', preferredSource: '10.0.0.1', scope: 253 }),
      route({ destination: prefix('10.5.0.0', 16), gateway: gateway('10.0.0.7'), device: 'v0' }),
      route({ destination: prefix('10.5.0.0', 16), gateway: gateway('10.0.0.8'), device: 'v1', flags: 16 }),
      route({
        destination: prefix('10.9.0.7', 32),
        gateway: gateway('10.0.0.9'),
        device: 'v0',
        preferredSource: '10.0.0.1',
        mtu: 1400,
      }),
      route({ destination: prefix('10.6.0.0', 16), gateway: { family: 6, address: 'fe80::1' }, device: 'v0' }),
    ]);
  });

  it('have them in IPv6 as well', () => {
    assert.deepEqual(parseRoutes(V6, 6), [
      route({ family: 6, destination: { family: 6, address: 'fd01::', length: 64 }, device: 'v0', preferredSource: 'fd00::1' }),
      route({
        family: 6,
        destination: undefined,
        gateway: { family: 6, address: 'fe80::9' },
        device: 'v0',
        sourcePrefix: { family: 6, address: 'fd02::', length: 64 },
        mtu: 1300,
      }),
    ]);
  });
});

describe('the command for a route', () => {
  const tail = 'dev eth0 table main proto boot';
  const CASES: [string, Partial<Route>, string][] = [
    ['names the destination and the device', {}, `route replace unicast 10.9.0.0/16 ${tail} scope 0`],
    ['keeps the scope as it is', { scope: 253 }, `route replace unicast 10.9.0.0/16 ${tail} scope 253`],
    [
      'has a default destination for each family',
      { destination: undefined, gateway: { family: 4, address: '10.0.0.1' } },
      `route replace unicast 0.0.0.0/0 via 10.0.0.1 ${tail} scope 0`,
    ],
    [
      'says no scope in IPv6, which has none',
      { family: 6, destination: undefined, gateway: { family: 6, address: 'fe80::1' }, scope: 253 },
      `route replace unicast ::/0 via fe80::1 ${tail}`,
    ],
    [
      'has all the rest',
      {
        family: 6,
        destination: { family: 6, address: 'fd01::', length: 64 },
        preferredSource: 'fd00::1',
        sourcePrefix: { family: 6, address: 'fd02::', length: 48 },
        mtu: 1300,
      },
      `route replace unicast fd01::/64 from fd02::/48 ${tail} src fd00::1 mtu 1300`,
    ],
    [
      'takes of the flags what a client may ask for',
      { flags: 0xffff_ffff },
      `route replace unicast 10.9.0.0/16 ${tail} scope 0 onlink`,
    ],
  ];
  for (const [title, change, expected] of CASES) it(title, () => assert.equal(line(replaceRoute(route(change))), expected));

  it('comes before those that need it for their gateway', () => {
    const gateway = { family: 4, address: '10.9.0.1' } as const;
    const [first, second, third, fourth] = [route({ gateway }), route(), route({ gateway }), route()];
    assert.deepEqual(inOrder([first!, second!, third!, fourth!]), [second, fourth, first, third]);
  });
});

describe('the command for a neighbour', () => {
  const neighbour = (change: Partial<Neighbour> = {}): Neighbour => ({
    to: { family: 4, address: '10.0.0.9' },
    device: 'eth0',
    hwAddr: '02:00:00:00:00:09',
    state: 0,
    flags: 0,
    ...change,
  });
  const CASES: [string, Partial<Neighbour>, string][] = [
    ['is permanent unless told', {}, 'neighbour replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud 0x80'],
    ['keeps its state', { state: 2 }, 'neighbour replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud 0x2'],
    [
      'keeps its flags',
      { flags: 0x91 },
      'neighbour replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud 0x80 use extern_learn router',
    ],
    ['may be a proxy entry', { flags: 8 }, 'neighbour replace proxy 10.0.0.9 dev eth0 nud 0x80'],
    ['may lack a MAC address', { hwAddr: '', state: 0x40 }, 'neighbour replace 10.0.0.9 dev eth0 nud 0x40'],
    [
      'may be IPv6',
      { to: { family: 6, address: 'fd00::9' } },
      'neighbour replace fd00::9 lladdr 02:00:00:00:00:09 dev eth0 nud 0x80',
    ],
  ];
  for (const [title, change, expected] of CASES)
    it(title, () => assert.equal(line(replaceNeighbour(neighbour(change))), expected));
});
