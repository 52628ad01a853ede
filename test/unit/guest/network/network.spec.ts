// Real effects, in a network namespace of this machine with two pairs of veth links.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentError, hasCode } from '../../../../agent/errors.ts';
import type { WantedInterface } from '../../../../agent/guest/network/interface.ts';
import type { Link } from '../../../../agent/guest/network/link.ts';
import { Network } from '../../../../agent/guest/network/network.ts';
import type { Route } from '../../../../agent/guest/network/route.ts';
import { silentLogger } from '../../../../agent/log.ts';
import { type NetNamespace, openNetNamespace } from '../../../support/net-namespace.ts';

const MAC = '02:00:00:00:00:0a';
const NEW_MAC = '02:00:00:00:00:0b';
const v4 = (address: string, length: number) => ({ family: 4, address, length }) as const;
const v6 = (address: string, length: number) => ({ family: 6, address, length }) as const;
const shown = ({ addresses }: Link) =>
  addresses.map(({ address, length }) => `${address}/${length}`).filter((text) => !text.startsWith('fe80'));

const wanted = (change: Partial<WantedInterface> = {}): WantedInterface => ({
  name: 'eth0',
  device: '',
  hwAddr: MAC,
  mtu: undefined,
  noArp: false,
  addresses: [],
  ...change,
});
const route = (change: Partial<Route>): Route => ({
  family: 4,
  destination: undefined,
  gateway: undefined,
  device: 'eth0',
  preferredSource: undefined,
  sourcePrefix: undefined,
  scope: 0,
  flags: 0,
  mtu: 0,
  ...change,
});

describe("a guest's network", function () {
  this.timeout(60_000);
  let space: NetNamespace;
  let network: Network;
  let ipv6Dir: string;
  let appearing: (pciPath: string) => Promise<string>;

  const link = async (name: string) => (await network.links()).find((each) => each.name === name);

  beforeEach(async () => {
    ipv6Dir = await mkdtemp(join(tmpdir(), 'berth-ipv6-'));
    await setIpv6('0', '0');
    space = await openNetNamespace();
    for (const pair of ['a', 'b']) await space.ip(`link add ${pair}0 type veth peer name ${pair}1`);
    await space.ip(`link set a0 address ${MAC}`);
    await space.ip('link set a1 up');
    appearing = () => Promise.reject(new AgentError('deadline_exceeded', 'no NIC'));
    network = new Network({ log: silentLogger, waitForLink: (path) => appearing(path), run: space.run, ipv6Dir });
  });
  afterEach(async () => {
    await space?.[Symbol.asyncDispose]();
    await rm(ipv6Dir, { recursive: true });
  });

  async function setIpv6(all: string, byDefault: string): Promise<void> {
    for (const [name, value] of [
      ['all', all],
      ['default', byDefault],
    ] as const) {
      await mkdir(join(ipv6Dir, name), { recursive: true });
      await writeFile(join(ipv6Dir, name, 'disable_ipv6'), `${value}\n`);
    }
  }

  describe('interface', () => {
    it('found by its MAC address gets name, MTU, addresses of both families and no ARP, and is up', async () => {
      await network.updateInterface(wanted({ mtu: 1400, noArp: true, addresses: [v4('10.0.0.2', 24), v6('fd00::2', 64)] }));
      const eth0 = await link('eth0');
      assert.deepEqual(shown(eth0!), ['10.0.0.2/24', 'fd00::2/64']);
      assert.deepEqual([eth0!.hwAddr, eth0!.mtu, eth0!.isUp, eth0!.noArp], [MAC, 1400, true, true]);
      assert.equal(await link('a0'), undefined);
      assert.match(await space.ip('address show dev eth0'), /10\.0\.0\.2\/24 brd 10\.0\.0\.255 scope global eth0/);
    });

    it('asked for twice is the same, and loses no route', async () => {
      const asked = wanted({ addresses: [v4('10.0.0.2', 24), v6('fd00::2', 64)] });
      await network.updateInterface(asked);
      await space.ip('route add 10.8.0.0/16 via 10.0.0.1');
      const before = await network.links();
      await network.updateInterface(asked);
      assert.deepEqual(await network.links(), before);
      assert.match(await space.ip('route show'), /10\.8\.0\.0\/16 via 10\.0\.0\.1/);
    });

    it('keeps the addresses it has', async () => {
      await space.ip('address add 10.1.0.1/24 dev a0');
      await network.updateInterface(wanted({ addresses: [v4('10.0.0.2', 24)] }));
      assert.deepEqual(shown((await link('eth0'))!).sort(), ['10.0.0.2/24', '10.1.0.1/24']);
    });

    it('found by its name gets the MAC address, as in a VM made from a template', async () => {
      await network.updateInterface(wanted({ name: 'a0', hwAddr: NEW_MAC }));
      assert.equal((await link('a0'))?.hwAddr, NEW_MAC);
    });

    it('swaps its name with the link that has the wanted one', async () => {
      const other = await link('b0');
      await space.ip('link set b0 up');
      await network.updateInterface(wanted({ name: 'b0' }));
      assert.equal((await link('b0'))?.hwAddr, MAC);
      const swapped = await link('a0');
      assert.deepEqual([swapped?.index, swapped?.isUp], [other?.index, true]);
    });

    it('at a PCI path is the one there, whatever its MAC address was', async () => {
      appearing = async (path) => (path === '02/03' ? 'b0' : 'none');
      await network.updateInterface(wanted({ hwAddr: NEW_MAC }), '02/03');
      assert.deepEqual([(await link('eth0'))?.hwAddr, await link('b0')], [NEW_MAC, undefined]);
    });

    it('at a PCI path where nothing comes is told so', async () => {
      await assert.rejects(network.updateInterface(wanted(), '02/03'), (error) => hasCode(error, 'deadline_exceeded'));
    });

    const MISSING: [string, Partial<WantedInterface>, RegExp][] = [
      ['MAC address', { hwAddr: NEW_MAC }, /^Link not found \(Address: 02:00:00:00:00:0b\)$/],
      ['name', { name: 'nic', hwAddr: '' }, /^Link not found \(Name: nic\)$/],
    ];
    for (const [by, change, text] of MISSING) {
      it(`that no link is by its ${by} is told in words that Kata's runtime tries again on`, async () => {
        await assert.rejects(
          network.updateInterface(wanted(change)),
          (error) => hasCode(error, 'not_found') && text.test(error.message),
        );
      });
    }

    it('gets no IPv6 address while the guest has IPv6 off, and the others', async () => {
      await setIpv6('1', '1');
      await network.updateInterface(wanted({ addresses: [v6('fd00::2', 64), v4('10.0.0.2', 24)] }));
      assert.deepEqual(shown((await link('eth0'))!), ['10.0.0.2/24']);
    });

    it('gets its IPv6 address when IPv6 is off for one of the two switches only', async () => {
      await setIpv6('0', '1');
      await network.updateInterface(wanted({ addresses: [v6('fd00::2', 64)] }));
      assert.deepEqual(shown((await link('eth0'))!), ['fd00::2/64']);
    });

    it('that the kernel refuses half way is as it was before, names and state included', async () => {
      await space.ip('address add 10.1.0.1/24 dev a0');
      await space.ip('link set a0 up');
      await space.ip('link set b0 up');
      await space.ip('address add fd01::1/64 dev a0 nodad');
      const before = await network.links();
      // Nobody can have a multicast address.
      const asked = wanted({ name: 'b0', mtu: 9000, noArp: true, addresses: [v4('10.0.0.2', 24), v6('ff02::5', 64)] });
      await assert.rejects(
        network.updateInterface(asked),
        (error) => hasCode(error, 'internal') && /^address ff02::5\/64 on b0: /.test(error.message),
      );
      const settled = (links: Link[]) => links.map((each) => ({ ...each, addresses: shown(each) }));
      assert.deepEqual(settled(await network.links()), settled(before));
    });

    it('is changed by one client at a time', async () => {
      const addresses = Array.from({ length: 8 }, (_, at) => v4(`10.0.${at}.2`, 24));
      await Promise.all(
        addresses.map((address, at) => network.updateInterface(wanted({ name: `eth${at % 2}`, addresses: [address] }))),
      );
      const links = (await network.links()).filter(({ hwAddr }) => hwAddr === MAC);
      assert.deepEqual(
        links.map(({ addresses: { length } }) => length >= 8),
        [true],
      );
    });

    it('makes no queue without end', async () => {
      const calls = Array.from({ length: 65 }, () => network.updateInterface(wanted({ name: 'a0' })));
      const results = await Promise.allSettled(calls);
      const failed = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
      assert.equal(failed.length, 1);
      assert.ok(hasCode(failed[0], 'resource_exhausted'));
    });
  });

  describe('route', () => {
    beforeEach(async () => {
      await network.updateInterface(wanted({ addresses: [v4('10.0.0.2', 24), v6('fd00::2', 64)] }));
    });
    const gateway = (address: string) => ({ family: 4, address }) as const;
    const found = async (test: (route: Route) => boolean) => (await network.routes()).filter(test);

    it('by a gateway that another route of the request makes reachable is accepted, in any order', async () => {
      await network.updateRoutes([
        route({ gateway: gateway('169.254.1.1') }),
        route({ destination: v4('169.254.1.1', 32), scope: 253 }),
      ]);
      assert.deepEqual(await found(({ destination }) => destination?.address !== '10.0.0.0' && destination?.family !== 6), [
        route({ gateway: gateway('169.254.1.1') }),
        route({ destination: v4('169.254.1.1', 32), scope: 253 }),
      ]);
    });

    it('comes back as it was asked for, with source, MTU, scope and flags', async () => {
      const asked = [
        route({
          destination: v4('10.9.0.0', 16),
          gateway: gateway('172.16.0.1'),
          preferredSource: '10.0.0.2',
          mtu: 1400,
          flags: 4,
        }),
        route({ destination: v4('10.7.0.0', 16), preferredSource: '10.0.0.2', scope: 253 }),
        route({
          family: 6,
          destination: v6('fd01::', 64),
          gateway: { family: 6, address: 'fd00::1' },
          preferredSource: 'fd00::2',
          mtu: 1300,
        }),
        route({ family: 6, gateway: { family: 6, address: 'fe80::9' } }),
      ];
      await network.updateRoutes(asked);
      const all = await network.routes();
      for (const each of asked)
        assert.ok(
          all.some((other) => JSON.stringify(other) === JSON.stringify(each)),
          `${JSON.stringify(each)} in ${JSON.stringify(all)}`,
        );
    });

    it('asked for twice is there once, and the others stay', async () => {
      await space.ip('route add 10.8.0.0/16 dev eth0');
      const asked = [route({ gateway: gateway('10.0.0.1') })];
      await network.updateRoutes(asked);
      await network.updateRoutes(asked);
      assert.equal((await found(({ destination, family }) => family === 4 && destination === undefined)).length, 1);
      assert.equal((await found(({ destination }) => destination?.address === '10.8.0.0')).length, 1);
    });

    it('that is there behind another one is no error, and those after it are made', async () => {
      await space.ip('route add 10.8.0.0/16 via 10.0.0.1');
      await space.ip('route append 10.8.0.0/16 via 10.0.0.3');
      await network.updateRoutes([
        route({ destination: v4('10.8.0.0', 16), gateway: gateway('10.0.0.3') }),
        route({ destination: v4('10.6.0.0', 16), gateway: gateway('10.0.0.3') }),
      ]);
      assert.equal((await found(({ destination }) => destination?.address === '10.6.0.0')).length, 1);
    });

    it('to an unknown device is refused, and then none is made', async () => {
      const before = await network.routes();
      await assert.rejects(
        network.updateRoutes([route({ destination: v4('10.8.0.0', 16) }), route({ device: 'eth9' })]),
        (error) => hasCode(error, 'not_found') && error.message === 'Link not found (Name: eth9)',
      );
      assert.deepEqual(await network.routes(), before);
    });

    it('that the kernel refuses is named, with the reason', async () => {
      await assert.rejects(
        network.updateRoutes([
          route({ destination: v4('10.8.0.0', 16) }),
          route({ destination: v4('10.9.0.0', 16), gateway: gateway('99.0.0.1') }),
        ]),
        (error) =>
          hasCode(error, 'internal') && /^route 10\.9\.0\.0\/16 on eth0: Nexthop has invalid gateway/.test(error.message),
      );
    });
  });

  describe('neighbour', () => {
    beforeEach(() => network.updateInterface(wanted({ addresses: [v4('10.0.0.2', 24), v6('fd00::2', 64)] })));
    const neighbour = {
      to: { family: 4, address: '10.0.0.9' },
      device: 'eth0',
      hwAddr: '02:00:00:00:00:09',
      state: 0,
      flags: 0,
    } as const;

    it('is there for good, in both families, and is replaced by the next', async () => {
      const six = { ...neighbour, to: { family: 6, address: 'fd00::9' }, flags: 0x80 } as const;
      await network.addNeighbours([neighbour, six]);
      await network.addNeighbours([{ ...neighbour, hwAddr: '02:00:00:00:00:19' }]);
      const listed = await space.ip('neigh show dev eth0');
      assert.match(listed, /^10\.0\.0\.9 lladdr 02:00:00:00:00:19 PERMANENT/m);
      assert.match(listed, /^fd00::9 lladdr 02:00:00:00:00:09 router PERMANENT/m);
    });

    it('keeps the state it is given', async () => {
      await network.addNeighbours([{ ...neighbour, state: 0x40 }]);
      assert.match(await space.ip('neigh show nud noarp dev eth0'), /10\.0\.0\.9 .*NOARP/);
    });

    it('may be one the guest answers for', async () => {
      await network.addNeighbours([{ ...neighbour, flags: 8 }]);
      assert.match(await space.ip('neigh show proxy'), /10\.0\.0\.9 dev eth0/);
    });

    it('that the kernel refuses is named among the others', async () => {
      await assert.rejects(
        network.addNeighbours([neighbour, { ...neighbour, to: { family: 4, address: '10.0.0.10' }, hwAddr: '' }]),
        (error) => hasCode(error, 'internal') && /^neighbour 10\.0\.0\.10 on eth0: No link layer address/.test(error.message),
      );
    });

    it('of an unknown device is refused', async () => {
      await assert.rejects(network.addNeighbours([{ ...neighbour, device: 'eth9' }]), /Link not found \(Name: eth9\)/);
    });
  });
});
