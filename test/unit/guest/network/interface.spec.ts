import assert from 'node:assert/strict';
import { findInterface, planInterface, type WantedInterface } from '../../../../agent/guest/network/interface.ts';
import { type Link, parseLinks } from '../../../../agent/guest/network/link.ts';
import { planUndo } from '../../../../agent/guest/network/undo.ts';

const MAC = '02:00:00:00:00:01';
const link = (change: Partial<Link> = {}): Link => ({
  index: 2,
  name: 'eth0',
  hwAddr: MAC,
  mtu: 1500,
  isUp: false,
  isLoopback: false,
  noArp: false,
  addresses: [],
  ...change,
});
const wanted = (change: Partial<WantedInterface> = {}): WantedInterface => ({
  name: 'eth0',
  device: '',
  hwAddr: MAC,
  mtu: undefined,
  noArp: false,
  addresses: [],
  ...change,
});
const v4 = (address: string, length: number) => ({ family: 4, address, length }) as const;
const v6 = (address: string, length: number) => ({ family: 6, address, length }) as const;
const lines = (commands: readonly { words: readonly string[] }[]) => commands.map(({ words }) => words.join(' '));

describe('the links `ip -json address show` lists', () => {
  // iproute2 6.1 on Linux 6.18, cut to what differs between links.
  const SHOWN = JSON.stringify([
    {
      ifindex: 1,
      ifname: 'lo',
      flags: ['LOOPBACK', 'UP', 'LOWER_UP'],
      mtu: 65536,
      qdisc: 'noqueue',
      operstate: 'UNKNOWN',
      link_type: 'loopback',
      address: '00:00:00:00:00:00',
      addr_info: [
        { family: 'inet', local: '127.0.0.1', prefixlen: 8, scope: 'host', label: 'lo' },
        { family: 'inet6', local: '::1', prefixlen: 128, scope: 'host' },
      ],
    },
    {},
    {
      ifindex: 3,
      link: 'v1',
      ifname: 'v0',
      flags: ['BROADCAST', 'MULTICAST', 'NOARP', 'M-DOWN'],
      mtu: 1400,
      operstate: 'DOWN',
      link_type: 'ether',
      address: 'EE:82:3d:11:58:85',
      addr_info: [
        { family: 'inet', local: '10.0.0.1', address: '10.0.0.2', prefixlen: 24, broadcast: '10.0.0.255', scope: 'global' },
      ],
    },
    { ifindex: 4, ifname: 'tun0', flags: ['POINTOPOINT'], mtu: 1500, link_type: 'none', addr_info: [] },
  ]);

  it('have their state, MAC address and addresses', () => {
    assert.deepEqual(
      parseLinks(SHOWN),
      [
        link({
          index: 1,
          name: 'lo',
          flags: undefined,
          mtu: 65536,
          hwAddr: '00:00:00:00:00:00',
          isUp: true,
          isLoopback: true,
          addresses: [v4('127.0.0.1', 8), v6('::1', 128)],
        } as Partial<Link>),
        link({ index: 3, name: 'v0', hwAddr: 'ee:82:3d:11:58:85', mtu: 1400, noArp: true, addresses: [v4('10.0.0.1', 24)] }),
        link({ index: 4, name: 'tun0', hwAddr: '' }),
      ].map(({ ...each }) => JSON.parse(JSON.stringify(each))),
    );
  });

  it('may be none', () => assert.deepEqual(parseLinks(''), []));

  for (const output of ['{}', 'no json', '[{"ifname":']) {
    it(`are an error when the tool prints ${output}`, () => assert.throws(() => parseLinks(output), /ip -json/));
  }
});

describe('the link a client means', () => {
  const lo = link({ index: 1, name: 'lo', hwAddr: '00:00:00:00:00:00', isLoopback: true });
  const eth0 = link();
  const eth1 = link({ index: 3, name: 'eth1', hwAddr: '02:00:00:00:00:02' });
  const vlan = link({ index: 4, name: 'eth1.7', hwAddr: '02:00:00:00:00:02' });
  const links = [lo, eth0, eth1, vlan];
  const CASES: [string, Partial<WantedInterface>, Link | undefined][] = [
    ['has its MAC address, whatever the name', { name: 'new', hwAddr: MAC }, eth0],
    ['has its MAC address even if another has the name', { name: 'eth0', hwAddr: '02:00:00:00:00:02' }, eth1],
    ['has the name too where several have the MAC address', { name: 'eth1.7', hwAddr: '02:00:00:00:00:02' }, vlan],
    ['has its name where none has the MAC address', { name: 'eth0', hwAddr: '02:00:00:00:00:99' }, eth0],
    ['has its name where no MAC address is given', { name: 'lo', hwAddr: '' }, lo],
    ['has the present name where only that is there', { name: 'new', device: 'eth1', hwAddr: '' }, eth1],
    ['is not there, and no other is taken for it', { name: 'new', device: 'eth1', hwAddr: '02:00:00:00:00:99' }, undefined],
    ['is not the loopback by its MAC address', { name: 'new', hwAddr: '00:00:00:00:00:00' }, undefined],
  ];
  for (const [title, change, found] of CASES) it(title, () => assert.equal(findInterface(links, wanted(change)), found));
});

describe('the plan for an interface', () => {
  const CASES: { title: string; links?: Link[]; change?: Partial<WantedInterface>; commands: string[] }[] = [
    {
      title: 'names, sizes, addresses and starts a new NIC',
      links: [link({ name: 'ens3' })],
      change: { mtu: 1400, addresses: [v4('10.0.0.2', 24), v6('fd00::2', 64)] },
      commands: [
        'link set dev ens3 name eth0',
        'link set dev eth0 mtu 1400',
        'address replace 10.0.0.2/24 brd + dev eth0',
        'address replace fd00::2/64 nodad dev eth0',
        'link set dev eth0 up',
      ],
    },
    {
      title: 'leaves alone what is as wanted',
      links: [link({ isUp: true })],
      change: { mtu: 1500 },
      commands: ['link set dev eth0 up'],
    },
    {
      title: 'asks for no broadcast address where there is none',
      change: { addresses: [v4('10.0.0.2', 32)] },
      commands: ['address replace 10.0.0.2/32 dev eth0', 'link set dev eth0 up'],
    },
    {
      title: 'takes a link down for a new MAC address',
      links: [link({ isUp: true })],
      change: { hwAddr: '02:00:00:00:00:09' },
      commands: ['link set dev eth0 down', 'link set dev eth0 address 02:00:00:00:00:09', 'link set dev eth0 up'],
    },
    { title: 'switches ARP off', change: { noArp: true }, commands: ['link set dev eth0 arp off', 'link set dev eth0 up'] },
    {
      title: 'switches ARP on again',
      links: [link({ noArp: true })],
      commands: ['link set dev eth0 arp on', 'link set dev eth0 up'],
    },
    {
      title: 'swaps names with the link that has the wanted one',
      links: [
        link({ name: 'eth1', isUp: true }),
        link({ index: 3, name: 'eth0', hwAddr: '02:00:00:00:00:02', isUp: true }),
        link({ index: 4, name: 'berth-tmp0' }),
      ],
      commands: [
        'link set dev eth1 down',
        'link set dev eth0 down',
        'link set dev eth0 name berth-tmp1',
        'link set dev eth1 name eth0',
        'link set dev berth-tmp1 name eth1',
        'link set dev eth1 up',
        'link set dev eth0 up',
      ],
    },
    { title: 'keeps the name when none is wanted', change: { name: '' }, commands: ['link set dev eth0 up'] },
  ];
  for (const { title, links = [link()], change, commands } of CASES) {
    it(title, () => assert.deepEqual(lines(planInterface(links, links[0]!, wanted(change))), commands));
  }
});

describe('the way back from half an update', () => {
  it('is nothing when nothing was changed', () => {
    assert.deepEqual(planUndo([link({ addresses: [v4('10.0.0.1', 8)] })], [link({ addresses: [v4('10.0.0.1', 8)] })]), []);
  });

  it('does not touch what the kernel made itself, or a link that came meanwhile', () => {
    const after = [link({ addresses: [v6('fe80::1', 64)] }), link({ index: 9, name: 'new' })];
    assert.deepEqual(planUndo([link()], after), []);
  });

  it('puts every property of a link back', () => {
    const before = [link({ isUp: true, addresses: [v6('fd00::1', 64)] })];
    const after = [link({ name: 'new', hwAddr: '02:00:00:00:00:02', mtu: 9000, noArp: true, addresses: [v4('10.0.0.1', 24)] })];
    assert.deepEqual(lines(planUndo(before, after)), [
      'link set dev new name berth-tmp0',
      'link set dev berth-tmp0 name eth0',
      'address del 10.0.0.1/24 dev eth0',
      `link set dev eth0 address ${MAC}`,
      'link set dev eth0 mtu 1500',
      'link set dev eth0 arp on',
      'address replace fd00::1/64 nodad dev eth0',
      'link set dev eth0 up',
    ]);
  });

  it('takes a link that was down, down again', () => {
    assert.deepEqual(lines(planUndo([link()], [link({ isUp: true })])), ['link set dev eth0 down']);
  });

  it('gives swapped names back', () => {
    const before = [link({ isUp: true }), link({ index: 3, name: 'eth1' })];
    const after = [link({ name: 'eth1' }), link({ index: 3, name: 'eth0' })];
    assert.deepEqual(lines(planUndo(before, after)), [
      'link set dev eth1 name berth-tmp0',
      'link set dev eth0 name berth-tmp1',
      'link set dev berth-tmp0 name eth0',
      'link set dev berth-tmp1 name eth1',
      'link set dev eth0 up',
    ]);
  });
});
