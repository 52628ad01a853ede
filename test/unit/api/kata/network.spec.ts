// What Kata's network messages mean to the guest, and what they say back.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { types } from '#proto/kata.js';
import { networkMethods } from '../../../../agent/api/kata/network.ts';
import { fromLink, fromRoute, toNeighbours, toRoutes, toWantedInterface } from '../../../../agent/api/kata/network-messages.ts';
import { AgentError, hasCode, isAgentError } from '../../../../agent/errors.ts';
import type { Network } from '../../../../agent/guest/network/network.ts';

const { v6 } = types.IPFamily;
const at = (field: string) => (error: unknown) =>
  hasCode(error, 'invalid_argument') && error.fields['field'] === field && error.message.startsWith(`${field}: `);
const tooMany = (error: unknown) => hasCode(error, 'resource_exhausted');
const NIC: types.Interface.$Properties = { name: 'eth0', hwAddr: '02:00:00:00:00:01' };
const ROUTE: types.Route.$Properties = { device: 'eth0', dest: '10.0.0.0/8' };
const NEIGHBOUR: types.ARPNeighbor.$Properties = {
  device: 'eth0',
  toIPAddress: { address: '10.0.0.9' },
  lladdr: '02:00:00:00:00:09',
};

describe('an interface of a Kata host', () => {
  it('is what the Go runtime sends, MAC address in either case', () => {
    assert.deepEqual(
      toWantedInterface({
        device: 'eth0',
        name: 'eth0',
        IPAddresses: [
          { address: '10.88.0.5', mask: '16' },
          { family: v6, address: 'fd00::5', mask: '64' },
        ],
        mtu: 1500n,
        hwAddr: '02:00:CA:FE:00:01',
        rawFlags: 0x1003 | 0x80,
      }),
      {
        device: 'eth0',
        name: 'eth0',
        addresses: [
          { family: 4, address: '10.88.0.5', length: 16 },
          { family: 6, address: 'fd00::5', length: 64 },
        ],
        mtu: 1500,
        hwAddr: '02:00:ca:fe:00:01',
        noArp: true,
      },
    );
  });

  it('may have an IPv6 address with the family left out', () => {
    const { addresses } = toWantedInterface({ ...NIC, IPAddresses: [{ address: 'fd00::5', mask: '64' }] });
    assert.equal(addresses[0]?.family, 6);
  });

  const good = { address: '10.0.0.1', mask: '8' };
  const BAD: [string, types.Interface.$Properties, string][] = [
    ['nothing to find it by', {}, 'interface.hwAddr'],
    ['a bad MAC address', { ...NIC, hwAddr: '02' }, 'interface.hwAddr'],
    ['a name that is too long', { ...NIC, name: 'abcdefghijklmnop' }, 'interface.name'],
    ['a name that walks up', { ...NIC, name: '../x' }, 'interface.name'],
    ['an MTU beyond 32 bits', { ...NIC, mtu: 2n ** 64n - 1n }, 'interface.mtu'],
    [
      'a bad second address',
      { ...NIC, IPAddresses: [good, { address: '10.0.0', mask: '8' }] },
      'interface.IPAddresses[1].address',
    ],
    ['a netmask', { ...NIC, IPAddresses: [{ ...good, mask: '255.0.0.0' }] }, 'interface.IPAddresses[0].mask'],
    ['no mask', { ...NIC, IPAddresses: [{ address: '10.0.0.1' }] }, 'interface.IPAddresses[0].mask'],
    ['an address of another family', { ...NIC, IPAddresses: [{ ...good, family: v6 }] }, 'interface.IPAddresses[0].address'],
  ];
  for (const [title, message, field] of BAD)
    it(`is refused for ${title}`, () => assert.throws(() => toWantedInterface(message), at(field)));

  it('has no more than 256 addresses', () => {
    assert.equal(toWantedInterface({ ...NIC, IPAddresses: Array(256).fill(good) }).addresses.length, 256);
    assert.throws(() => toWantedInterface({ ...NIC, IPAddresses: Array(257).fill(good) }), tooMany);
  });
});

describe('a route of a Kata host', () => {
  const parsed = (change: types.Route.$Properties) => toRoutes([{ ...ROUTE, ...change }])[0]!;

  it('is the default route where it has no destination', () => {
    for (const dest of ['', '0.0.0.0/0', '0.0.0.0']) assert.equal(parsed({ dest }).destination, undefined);
    for (const dest of ['', '::/0', '::']) {
      const { family, destination } = parsed({ dest, gateway: 'fe80::1' });
      assert.deepEqual([family, destination], [6, undefined]);
    }
  });

  it('has the family it says, or that of its addresses', () => {
    assert.equal(parsed({ dest: '', family: v6 }).family, 6);
    assert.equal(parsed({ dest: 'fd00::/64' }).family, 6);
    assert.equal(parsed({}).family, 4);
  });

  it('to an address alone is to all of that address', () => {
    assert.equal(parsed({ dest: '169.254.1.1' }).destination?.length, 32);
    assert.equal(parsed({ dest: 'fe80::1' }).destination?.length, 128);
  });

  const SOURCES: [string, string, string | undefined, number | undefined][] = [
    ['10.0.0.2', '10.0.0.0/8', '10.0.0.2', undefined],
    ['10.0.0.2/0', '10.0.0.0/8', '10.0.0.2', undefined],
    ['10.0.0.2/32', '10.0.0.0/8', '10.0.0.2', undefined],
    ['fd00::2', 'fd00::/64', 'fd00::2', undefined],
    ['fd00::/64', 'fd01::/64', undefined, 64],
  ];
  for (const [source, dest, preferred, length] of SOURCES) {
    it(`with the source ${source} is ${preferred ? 'sent from that address' : 'for packets of that prefix'}`, () => {
      const found = parsed({ source, dest });
      assert.deepEqual([found.preferredSource, found.sourcePrefix?.length], [preferred, length]);
    });
  }

  const BAD: [string, types.Route.$Properties, string][] = [
    ['no device', { device: '' }, 'device'],
    ['a device that is an option with a word behind it', { device: 'eth0 metric 1' }, 'device'],
    ['a destination that is a word of the tool', { dest: 'default' }, 'dest'],
    ['a gateway with a prefix', { gateway: '10.0.0.1/8' }, 'gateway'],
    ['a destination of another family', { dest: '10.0.0.0/8', gateway: 'fe80::1' }, 'dest'],
    ['a source of another family', { family: v6, dest: '', source: '10.0.0.1' }, 'source'],
    ['an IPv4 source prefix', { source: '10.0.0.0/8' }, 'source'],
    ['a scope beyond 8 bits', { scope: 256 }, 'scope'],
  ];
  for (const [title, change, field] of BAD) {
    it(`is refused for ${title}`, () =>
      assert.throws(() => toRoutes([ROUTE, { ...ROUTE, ...change }]), at(`routes.Routes[1].${field}`)));
  }

  it('comes with no more than 4095 others', () => {
    assert.equal(toRoutes(Array(4096).fill(ROUTE)).length, 4096);
    assert.throws(() => toRoutes(Array(4097).fill(ROUTE)), tooMany);
  });

  it('that is listed can be asked for again, and is the same', () => {
    const v4 = (address: string, length: number) => ({ family: 4, address, length }) as const;
    const plain = {
      gateway: undefined,
      preferredSource: undefined,
      sourcePrefix: undefined,
      device: 'eth0',
      scope: 0,
      flags: 0,
      mtu: 0,
    };
    const routes = [
      { ...plain, family: 4, destination: undefined, gateway: { family: 4, address: '10.0.0.1' }, flags: 4, mtu: 1400 },
      { ...plain, family: 4, destination: v4('10.0.0.0', 24), preferredSource: '10.0.0.2', scope: 253 },
      { ...plain, family: 6, destination: undefined, gateway: { family: 6, address: 'fe80::1' } },
      {
        ...plain,
        family: 6,
        destination: { family: 6, address: 'fd00::', length: 64 },
        sourcePrefix: { family: 6, address: 'fd01::', length: 64 },
      },
    ] as const;
    assert.deepEqual(toRoutes(routes.map(fromRoute)), routes);
  });

  it('is listed with its true destination though it has a gateway, and with its family', () => {
    const [route] = toRoutes([{ ...ROUTE, gateway: '10.0.0.1' }]);
    assert.equal(fromRoute(route!).dest, '10.0.0.0/8');
    assert.equal(fromRoute(toRoutes([{ device: 'eth0', gateway: 'fe80::1' }])[0]!).family, v6);
  });
});

describe('a neighbour of a Kata host', () => {
  const BAD: [string, types.ARPNeighbor.$Properties, string][] = [
    ['no address', { toIPAddress: undefined }, 'toIPAddress.address'],
    ['no device', { device: '' }, 'device'],
    ['a bad MAC address', { lladdr: 'x' }, 'lladdr'],
    ['a negative state', { state: -1 }, 'state'],
    ['a state beyond 16 bits', { state: 0x10000 }, 'state'],
  ];
  for (const [title, change, field] of BAD) {
    it(`is refused for ${title}`, () =>
      assert.throws(() => toNeighbours([{ ...NEIGHBOUR, ...change }]), at(`neighbors.ARPNeighbors[0].${field}`)));
  }

  it('comes with no more than 4095 others', () => assert.throws(() => toNeighbours(Array(4097).fill(NEIGHBOUR)), tooMany));
});

describe('network messages of any content', () => {
  it('are taken or refused by a typed error that names a field', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom('', 'eth0', '10.0.0.0/8', 'fd00::/64'),
    );
    const int = fc.integer();
    const address = fc.record({ family: fc.constantFrom(0, 1, 7), address: text, mask: text }, { requiredKeys: [] });
    const messages = fc.oneof(
      fc
        .record(
          {
            device: text,
            name: text,
            IPAddresses: fc.array(address),
            mtu: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
            hwAddr: text,
            rawFlags: int,
          },
          { requiredKeys: [] },
        )
        .map((message) => () => toWantedInterface(message as never)),
      fc
        .array(
          fc.record(
            {
              dest: text,
              gateway: text,
              device: text,
              source: text,
              scope: fc.nat(),
              family: fc.constantFrom(0, 1, 7),
              flags: fc.nat(),
              mtu: fc.nat(),
            },
            { requiredKeys: [] },
          ),
        )
        .map((message) => () => toRoutes(message as never)),
      fc
        .array(fc.record({ toIPAddress: address, device: text, lladdr: text, state: int, flags: int }, { requiredKeys: [] }))
        .map((message) => () => toNeighbours(message as never)),
    );
    fc.assert(
      fc.property(messages, (convert) => {
        try {
          convert();
        } catch (error) {
          assert.ok(isAgentError(error) && typeof error.fields['field'] === 'string', String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("Kata's network calls", () => {
  const failing = (error: AgentError) => {
    const fail = () => Promise.reject(error);
    return { updateInterface: fail, updateRoutes: fail, addNeighbours: fail, links: fail, routes: fail } as unknown as Network;
  };
  async function call(name: string, request: unknown, network: Network): Promise<unknown> {
    const method = networkMethods(network).find((each) => each.name === name);
    assert.ok(method?.kind === 'unary', name);
    return await method.handle(request as never, {} as never);
  }
  const REQUESTS = {
    UpdateInterface: { interface: NIC },
    UpdateRoutes: { routes: { Routes: [ROUTE] } },
    AddARPNeighbors: { neighbors: { ARPNeighbors: [NEIGHBOUR] } },
  };

  it('tell a link that is not there by INTERNAL and the words the Go runtime tries again on', async () => {
    const network = failing(new AgentError('not_found', 'Link not found (Address: 02:00:00:00:00:01)'));
    await assert.rejects(
      call('UpdateInterface', REQUESTS.UpdateInterface, network),
      (error) => hasCode(error, 'internal') && error.message === 'update interface: Link not found (Address: 02:00:00:00:00:01)',
    );
  });

  const TEXTS: [keyof typeof REQUESTS, string, string][] = [
    ['UpdateInterface', 'empty update interface request', 'update interface: why'],
    ['UpdateRoutes', 'empty update routes request', 'Failed to update routes: why'],
    ['AddARPNeighbors', 'empty add arp neighbours request', 'Failed to add ARP neighbours: why'],
  ];
  for (const [name, empty, failed] of TEXTS) {
    it(`refuse an empty ${name} and tell a failed one as Kata's agent does`, async () => {
      const network = failing(new AgentError('internal', 'why'));
      await assert.rejects(call(name, {}, network), (error) => hasCode(error, 'invalid_argument') && error.message === empty);
      await assert.rejects(
        call(name, REQUESTS[name], network),
        (error) => hasCode(error, 'internal') && error.message === failed,
      );
    });
  }

  it('echo an interface and wait for its device', async () => {
    const seen: unknown[] = [];
    const network = {
      updateInterface: async (_wanted: unknown, pciPath: string) => void seen.push(pciPath),
    } as unknown as Network;
    const asked = { ...NIC, devicePath: '02/03', type: 'veth', mtu: 1500n };
    assert.deepEqual(await call('UpdateInterface', { interface: asked }, network), asked);
    assert.deepEqual(seen, ['02/03']);
  });

  it('list a link by name, MAC address, MTU and addresses', () => {
    const link = { index: 1, name: 'lo', hwAddr: '00:00:00:00:00:00', mtu: 65536, isUp: true, isLoopback: true, noArp: false };
    assert.deepEqual(fromLink({ ...link, addresses: [{ family: 6, address: '::1', length: 128 }] }), {
      name: 'lo',
      device: 'lo',
      hwAddr: '00:00:00:00:00:00',
      mtu: 65536n,
      IPAddresses: [{ family: v6, address: '::1', mask: '128' }],
    });
  });
});
