// The guest's network as a Kata host sets it up, on a booted guest: links, routes, neighbours and packet filter read back with
// the guest's own tools.
import assert from 'node:assert/strict';
import { type grpc, types } from '#proto/kata.js';
import { type Code, isAgentError } from '../../agent/errors.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { sharedGuest } from '../support/guest.ts';
import { runInGuest } from '../support/guest-resources.ts';

const { v6 } = types.IPFamily;

for (const [at, protocol] of (['ttrpc', 'grpc'] as const).entries()) {
  describe(`the network of a booted guest over ${protocol}`, function () {
    this.timeout(120_000);
    let client: AgentClient;
    // Each protocol has addresses and links of its own: the guest is shared.
    const made = `made${at}`;
    const name = `pod${at}`;
    const mac = `02:00:00:00:00:1${at}`;
    const net = `10.8${at}.0`;
    const net6 = `fd0${at}:`;
    const far6 = `2001:db8:1${at}::/48`;

    const inGuest = (script: string) => runInGuest(client, ['sh', '-c', script]);
    const listed = async () => (await client.kata.listInterfaces({})).Interfaces.find((each) => each.name === name);
    const route = async (dest: string) => (await client.kata.listRoutes({})).Routes.filter((each) => each.dest === dest);

    before(async () => {
      client = await (await sharedGuest()).connect(protocol);
      await inGuest(`ip link add ${made} address ${mac} type veth peer name peer${at}`);
    });
    after(async () => {
      await inGuest(`ip link del ${name} 2>/dev/null || ip link del ${made}; iptables -F; ip6tables -F`);
      await client?.close();
    });

    // In the order the Go runtime sends them, before CreateSandbox there.
    it('takes an interface, its addresses of both families, name and MTU', async () => {
      const asked = {
        device: name,
        name,
        hwAddr: mac.toUpperCase(),
        mtu: 1400n,
        type: 'veth',
        rawFlags: 0x1043,
        IPAddresses: [
          { family: types.IPFamily.v4, address: `${net}.5`, mask: '24' },
          { family: v6, address: `${net6}:5`, mask: '64' },
        ],
      };
      const answer = await client.kata.updateInterface({ interface: asked });
      assert.deepEqual([answer.name, answer.hwAddr, answer.mtu, answer.IPAddresses?.length], [name, asked.hwAddr, 1400n, 2]);
      assert.match(await inGuest(`ip link show dev ${name}`), /[<,]UP[,>].* mtu 1400 /);
      const found = await listed();
      assert.deepEqual([found?.device, found?.hwAddr, found?.mtu], [name, mac, 1400n]);
      const addresses = found?.IPAddresses?.map(({ family, address, mask }) => `${family} ${address}/${mask}`) ?? [];
      for (const each of [`0 ${net}.5/24`, `1 ${net6}:5/64`]) assert.ok(addresses.includes(each), addresses.join());
    });

    it('takes routes in any order, and answers with all there are', async () => {
      const { Routes } = await client.kata.updateRoutes({
        routes: {
          Routes: [
            { dest: `172.2${at}.0.0/16`, gateway: '169.254.1.1', device: name, source: `${net}.5`, mtu: 1300 },
            { dest: '169.254.1.1/32', device: name, scope: 253 },
            { dest: far6, gateway: `${net6}:1`, device: name, source: `${net6}:5`, family: v6 },
          ],
        },
      });
      const dests = Routes.map(({ dest }) => dest);
      for (const dest of [`172.2${at}.0.0/16`, '169.254.1.1/32', `${net}.0/24`, far6, `${net6}:/64`]) {
        assert.ok(dests.includes(dest), `${dest} in ${dests.join()}`);
      }
      assert.match(await inGuest(`ip route show 172.2${at}.0.0/16`), /via 169\.254\.1\.1 .*src .*mtu 1300/);
      const [direct] = await route('169.254.1.1/32');
      assert.deepEqual([direct?.gateway, direct?.device, direct?.scope, direct?.family], ['', name, 253, 0]);
      const [far] = await route(far6);
      assert.deepEqual([far?.gateway, far?.source, far?.family], [`${net6}:1`, `${net6}:5/0`, v6]);
    });

    it('takes neighbours', async () => {
      await client.kata.addARPNeighbors({
        neighbors: {
          ARPNeighbors: [
            { toIPAddress: { address: `${net}.9` }, device: name, lladdr: '02:00:00:00:00:99' },
            { toIPAddress: { family: v6, address: `${net6}:9` }, device: name, lladdr: '02:00:00:00:00:99', state: 0x80 },
          ],
        },
      });
      const shown = await inGuest(`ip neigh show dev ${name} nud permanent`);
      assert.match(shown, new RegExp(`^${net}\\.9 lladdr 02:00:00:00:00:99`, 'm'));
      assert.match(shown, new RegExp(`^${net6}:9 lladdr 02:00:00:00:00:99`, 'm'));
    });

    it('takes packet filter rules of each family and gives them back', async () => {
      for (const [isIpv6, source] of [
        [false, '192.0.2.1/32'],
        [true, '2001:db8::1/128'],
      ] as const) {
        const rule = `-A INPUT -s ${source} -j DROP`;
        await client.kata.setIPTables({ isIpv6, data: Buffer.from(`*filter\n${rule}\nCOMMIT\n`) });
        const { data } = await client.kata.getIPTables({ isIpv6 });
        assert.ok(Buffer.from(data).toString().includes(`\n${rule}\n`), Buffer.from(data).toString());
        assert.ok((await inGuest(`${isIpv6 ? 'ip6tables' : 'iptables'}-save`)).includes(rule));
      }
    });

    interface BadCall {
      title: string;
      call(): Promise<unknown>;
      code: Code;
      text: RegExp;
    }
    const updateInterface = (change: types.Interface.$Properties) =>
      client.kata.updateInterface({ interface: { name, hwAddr: mac, ...change } });
    const updateRoute = (change: types.Route.$Properties) =>
      client.kata.updateRoutes({ routes: { Routes: [{ device: name, ...change }] } });
    const neighbours = (neighbour: types.ARPNeighbor.$Properties): grpc.AddARPNeighborsRequest.$Properties => ({
      neighbors: { ARPNeighbors: [neighbour] },
    });
    const bad: BadCall[] = [
      {
        title: 'an empty UpdateInterface',
        call: () => client.kata.updateInterface({}),
        code: 'invalid_argument',
        text: /empty update interface request/,
      },
      {
        title: 'an empty UpdateRoutes',
        call: () => client.kata.updateRoutes({}),
        code: 'invalid_argument',
        text: /empty update routes request/,
      },
      {
        title: 'an empty AddARPNeighbors',
        call: () => client.kata.addARPNeighbors({}),
        code: 'invalid_argument',
        text: /empty add arp neighbours request/,
      },
      {
        title: 'a NIC that is not there yet',
        call: () => updateInterface({ name: 'later', hwAddr: '02:00:00:00:00:77' }),
        code: 'internal',
        text: /update interface: Link not found \(Address: 02:00:00:00:00:77\)/,
      },
      {
        title: 'a NIC on the bus that does not come',
        call: () => updateInterface({ devicePath: '1e/1e' }),
        code: 'deadline_exceeded',
        text: /PCI path 1e\/1e/,
      },
      {
        title: 'a bad address',
        call: () => updateInterface({ IPAddresses: [{ address: 'x', mask: '8' }] }),
        code: 'invalid_argument',
        text: /interface\.IPAddresses\[0\]\.address/,
      },
      {
        title: 'an address the kernel refuses',
        call: () => updateInterface({ IPAddresses: [{ address: 'ff02::5', mask: '64' }] }),
        code: 'internal',
        text: /update interface: address ff02::5\/64 on pod/,
      },
      {
        title: 'a route by an unknown device',
        call: () => updateRoute({ device: 'eth9' }),
        code: 'internal',
        text: /Failed to update routes: Link not found \(Name: eth9\)/,
      },
      {
        title: 'a route by a gateway out of reach',
        call: () => updateRoute({ dest: '198.51.100.0/24', gateway: '203.0.113.1' }),
        code: 'internal',
        text: /Failed to update routes: route 198\.51\.100\.0\/24/,
      },
      {
        title: 'a destination that is no prefix',
        call: () => updateRoute({ dest: '-4' }),
        code: 'invalid_argument',
        text: /routes\.Routes\[0\]\.dest/,
      },
      {
        title: 'a neighbour without a MAC address',
        call: () => client.kata.addARPNeighbors(neighbours({ toIPAddress: { address: `${net}.8` }, device: name })),
        code: 'internal',
        text: /Failed to add ARP neighbours: neighbour .*[Ll]ink layer/,
      },
      {
        title: 'rules that are none',
        call: () => client.kata.setIPTables({ data: Buffer.from('no rules\n') }),
        code: 'internal',
        text: /line 1 failed|line 1|COMMIT/,
      },
    ];
    for (const { title, call, code, text } of bad) {
      it(`refuses ${title}`, async () => {
        const [links, routes] = [await client.kata.listInterfaces({}), await client.kata.listRoutes({})];
        await assert.rejects(call, (error) => {
          assert.ok(isAgentError(error), String(error));
          assert.deepEqual([error.code, text.test(error.message)], [code, true], error.message);
          return true;
        });
        assert.deepEqual(await client.kata.listInterfaces({}), links);
        assert.deepEqual(await client.kata.listRoutes({}), routes);
      });
    }
  });
}
