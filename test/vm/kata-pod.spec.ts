// A pod from the first call to the end of its VM, in the order in which Kata's Go runtime drives it, with a network card that
// carries traffic. What the calls did is read back from inside the containers.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type grpc, types } from '#proto/kata.js';
import { hasCode } from '../../agent/errors.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';
import { identify } from '../../client/vm/process-identity.ts';
import { ECHO_PORT, EthernetPeer } from '../support/ethernet/peer.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { runInGuest } from '../support/guest-resources.ts';
import { copyFile, SHARE, SHM_STORAGE, startContainer, stopContainer } from '../support/kata-pod.ts';
import { allGone } from '../support/processes.ts';

const { v4, v6 } = types.IPFamily;
const IMAGES = process.env['BERTH_IMAGE_DIR'] ?? join(import.meta.dirname, '../../build/image');
const HOSTNAME = 'web-pod-0';
const CARD = { mac: '02:42:ac:11:00:02', pciPath: '10', ipv4: '10.88.0.5', ipv6: 'fd88::5' };
const PEER = { mac: '02:42:ac:11:00:01', ipv4: '10.88.0.1', ipv6: 'fd88::1' };
const SERVER_PORT = 9000;
const MIB = 1024n * 1024n;
const MEMORY_LIMIT = 48n * MIB;
/** An event is there as soon as the kernel has told of it; nothing more may come after that. */
const NO_MORE_EVENTS_MS = 2_000;

/** Sends back each datagram, over both families. */
const ECHO_SERVER = `use Socket qw(:all); socket(my $s, AF_INET6, SOCK_DGRAM, 0) or die $!;
  setsockopt($s, IPPROTO_IPV6, IPV6_V6ONLY, 0); bind($s, pack_sockaddr_in6(${SERVER_PORT}, IN6ADDR_ANY)) or die $!;
  $| = 1; print "ready\\n"; while (1) { my $from = recv($s, my $data, 65536, 0); send($s, $data, 0, $from); }`;
/** ADDRESS PORT: 64 datagrams of 1400 bytes, each answer compared. */
const ECHO_CLIENT = `use Socket qw(:all); my ($address, $port) = @ARGV; my $six = $address =~ /:/;
  socket(my $s, $six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or die $!;
  connect($s, $six ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $address)) : pack_sockaddr_in($port, inet_aton($address))) or die $!;
  alarm 60; for my $i (1 .. 64) { my $sent = chr(64 + $i) x 1400; send($s, $sent, 0) or die $!; recv($s, my $got, 2000, 0);
  die "not what was sent" if $got ne $sent; } print "64 answers\\n";`;

for (const protocol of ['ttrpc', 'grpc'] as const) {
  describe(`a pod as Kata's Go runtime drives it over ${protocol}`, function () {
    this.timeout(BOOT_TIMEOUT_MS);
    let directory: string;
    let peer: EthernetPeer;
    let guest: TestGuest;
    let client: AgentClient;
    let disks: Record<'busybox' | 'debian' | 'data', string>;
    const oomEvents: string[] = [];
    let oomEnd: Promise<unknown>;

    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'berth-pod-'));
      const socket = join(directory, 'nic.sock');
      const data = join(directory, 'data.img');
      await writeFile(data, Buffer.alloc(1 << 20));
      peer = await EthernetPeer.listen({ socket, guestMac: CARD.mac, ...PEER });
      guest = await bootTestGuest({
        sandbox: false,
        nics: [{ mac: CARD.mac, socket }],
        machine: 'q35',
        disks: [
          ...['busybox', 'debian'].map((name) => ({ path: join(IMAGES, `${name}.erofs`), readonly: true, serial: name })),
          { path: data, serial: 'data' },
        ],
      });
      client = await guest.connect(protocol);
    });

    after(async () => {
      await client?.close();
      await guest?.[Symbol.asyncDispose]();
      await peer?.[Symbol.asyncDispose]();
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    });

    /** As the shim: an id of its own, no capabilities, no limits; both outputs to their ends, then the status. */
    async function exec(containerId: string, args: string[], process: grpc.Process.$Properties = {}): Promise<GuestProcess> {
      const execId = randomUUID();
      const Env = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'];
      await client.kata.execProcess({ containerId, execId, process: { Args: args, Cwd: '/', Env, ...process } });
      return new GuestProcess(client.kata, { containerId, execId }, process.Terminal ?? false);
    }
    async function output(containerId: string, args: string[]): Promise<string> {
      const { stdout, stderr, exitCode } = await (await exec(containerId, args)).collect();
      assert.equal(exitCode, 0, `${args.join(' ')}: ${stderr}`);
      return stdout.toString().trim();
    }
    async function firstOutput({ address }: GuestProcess): Promise<string> {
      const { data } = await client.kata.readStdout({ ...address, len: 100 });
      return Buffer.from(data ?? []).toString();
    }
    const shell = (containerId: string, script: string) => output(containerId, ['sh', '-c', script]);

    it('gets its network before it is a sandbox', async () => {
      await client.kata.updateInterface({
        interface: {
          device: 'eth0',
          name: 'eth0',
          IPAddresses: [
            { family: v4, address: CARD.ipv4, mask: '24' },
            { family: v6, address: CARD.ipv6, mask: '64' },
          ],
          mtu: 1450n,
          hwAddr: CARD.mac,
          devicePath: CARD.pciPath,
          type: 'veth',
          rawFlags: 0x1043,
        },
      });
      const { Routes } = await client.kata.updateRoutes({
        routes: {
          Routes: [
            { dest: '', gateway: PEER.ipv4, device: 'eth0' },
            { dest: '10.88.0.0/24', device: 'eth0', source: CARD.ipv4, scope: 253 },
            { dest: '', gateway: PEER.ipv6, device: 'eth0', family: v6 },
          ],
        },
      });
      assert.ok(Routes.filter(({ gateway, device }) => device === 'eth0' && gateway !== '').length >= 2, JSON.stringify(Routes));
      await client.kata.addARPNeighbors({
        neighbors: { ARPNeighbors: [{ toIPAddress: { address: PEER.ipv4 }, device: 'eth0', lladdr: PEER.mac, state: 0x80 }] },
      });
      await client.kata.createSandbox({
        hostname: HOSTNAME,
        dns: [`nameserver ${PEER.ipv4}`, 'search pods.example'],
        storages: [SHM_STORAGE],
        sandboxPidns: false,
        sandboxId: 'pause',
        guestHookPath: '',
      });
      const details = await client.kata.getGuestDetails({ memBlockSize: true, memHotplugProbe: true });
      assert.equal(details.agentDetails?.initDaemon, true);
      assert.ok(details.memBlockSizeBytes! >= 2n ** 20n, String(details.memBlockSizeBytes));
    });

    it('finds its disks by where they sit on the bus', async () => {
      const paths = await runInGuest(client, ['readlink', '/sys/block/vdb', '/sys/block/vdc', '/sys/block/vdd']);
      const [busybox, debian, data] = paths
        .trim()
        .split('\n')
        .map((link) => [...link.matchAll(/[0-9a-f]{4}:[0-9a-f]{2}:([0-9a-f]{2})\.0(?=\/)/g)].map((match) => match[1]).join('/'));
      disks = { busybox: busybox!, debian: debian!, data: data! };
      assert.match(disks.data, /^[0-9a-f]{2}$/);
    });

    it('starts with its pause container, and waits for word of memory from then on', async () => {
      await startContainer(client, {
        id: 'pause',
        args: ['sleep', 'inf'],
        disk: disks.busybox,
        sandboxPidns: false,
        type: 'sandbox',
      });
      oomEnd = (async () => {
        for (;;) oomEvents.push((await client.kata.getOOMEvent({})).containerId ?? '');
      })().catch((error: unknown) => error);
    });

    it('has two more containers, which get copied files and share processes, name and memory', async () => {
      const resolver = `${SHARE}/web-${randomUUID()}-resolv.conf`;
      const secret = `${SHARE}/app-${randomUUID()}-token`;
      await copyFile(client, resolver, `nameserver ${PEER.ipv4}\nsearch pods.example\n`);
      await copyFile(client, `${secret}/..2026/token`, 'wordless\n', 0o100400);
      await copyFile(client, `${secret}/..data`, '..2026', 0o120777);
      await copyFile(client, `${secret}/token`, '..data/token', 0o120777);
      const bind = (source: string, destination: string) => ({
        source,
        destination,
        type: 'bind',
        options: ['rbind', 'rprivate', 'ro'],
      });
      const server = await startContainer(client, {
        id: 'web',
        args: ['perl', '-e', ECHO_SERVER],
        disk: disks.debian,
        sandboxPidns: true,
        mounts: [bind(resolver, '/etc/resolv.conf')],
      });
      assert.equal(await firstOutput(server), 'ready\n');
      await startContainer(client, {
        id: 'app',
        args: ['sleep', 'inf'],
        disk: disks.busybox,
        sandboxPidns: true,
        mounts: [bind(secret, '/secret'), bind(resolver, '/etc/resolv.conf')],
      });
      assert.equal(await shell('web', 'cat /etc/resolv.conf'), `nameserver ${PEER.ipv4}\nsearch pods.example`);
      assert.equal(await shell('app', 'cat /secret/token; stat -Lc %a /secret/token'), 'wordless\n400');
      assert.equal(await shell('app', 'touch /secret/x 2>&1 || true'), 'touch: /secret/x: Read-only file system');
      assert.deepEqual([await shell('app', 'hostname'), await shell('web', 'hostname')], [HOSTNAME, HOSTNAME]);
      await shell('web', 'echo shared > /dev/shm/word');
      assert.equal(
        await shell('app', 'cat /dev/shm/word; ps -o pid,args | grep -v grep | grep -c "sleep inf"; cat /proc/1/comm'),
        'shared\n2\nsleep',
      );
      assert.match(await shell('app', 'ps -o args'), /perl -e/);
    });

    it('is reached through its network card, over both families', async () => {
      await peer.ping(CARD.ipv4);
      await peer.ping(CARD.ipv6);
      for (const address of [CARD.ipv4, CARD.ipv6]) {
        for (let datagram = 0; datagram < 64; datagram++) {
          const data = Buffer.alloc(1400, `to ${address} ${datagram}`);
          assert.deepEqual(await peer.ask(address, SERVER_PORT, data), data);
        }
      }
    });

    it('reaches others through its network card, over both families', async () => {
      for (const address of [PEER.ipv4, PEER.ipv6]) {
        assert.equal(await output('web', ['perl', '-e', ECHO_CLIENT, address, String(ECHO_PORT)]), '64 answers');
        assert.match(await output('app', ['ping', '-c', '2', '-W', '5', address]), /2 packets transmitted, 2 packets received/);
      }
      // Beyond the next hop, by the default routes.
      assert.match(
        await shell('app', 'ip route get 192.0.2.1; ip -6 route get 2001:db8::1'),
        /via 10\.88\.0\.1 dev eth0[\s\S]*via fd88::1 dev eth0/,
      );
      assert.deepEqual([peer.queries.arp, peer.queries.nd > 0], [0, true], 'a neighbour that was told is not asked for');
      assert.equal(await shell('app', 'cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address'), `1450\n${CARD.mac}`);
    });

    it('runs a command on a terminal that is typed at and changes its size', async () => {
      const process = await exec('app', ['sh'], { Terminal: true, ConsoleSize: { Height: 24, Width: 80 } });
      await process.resize(50, 132);
      await process.stdin.write(Buffer.from('stty size; tty; read line; echo "got $line" $((6 * 7)); stty size; exit 7\n'));
      let seen = '';
      let typed = false;
      for await (const chunk of process.stdout) {
        seen += Buffer.from(chunk).toString();
        // What is typed comes back as an echo first.
        if (seen.includes('/dev/pts/') && !typed) {
          typed = true;
          await process.resize(30, 90);
          await process.stdin.write(Buffer.from('typed\n'));
        }
      }
      for (const each of ['50 132', 'got typed 42', '30 90']) assert.ok(seen.includes(each), seen);
      assert.equal(await process.wait(), 7);
    });

    it('gets the limits that are asked for later, in its cgroup files and in its figures', async () => {
      await client.kata.updateContainer({
        containerId: 'app',
        resources: {
          Memory: { Limit: MEMORY_LIMIT },
          CPU: { Quota: 50_000n, Period: 100_000n, Shares: 512n },
          Pids: { Limit: 64n },
        },
      });
      const files = ['memory.max', 'cpu.max', 'pids.max'].map((name) => `/sys/fs/cgroup/${name}`);
      assert.equal(await shell('app', `cat ${files.join(' ')}`), `${MEMORY_LIMIT}\n50000 100000\n64`);
      // crun's conversion of shares to a weight; that of the OCI runtimes before 2025 gives 20.
      assert.match(await shell('app', 'cat /sys/fs/cgroup/cpu.weight'), /^(20|59)$/);
      const { cgroupStats } = await client.kata.statsContainer({ containerId: 'app' });
      assert.equal(cgroupStats?.memoryStats?.usage?.limit, MEMORY_LIMIT);
      assert.equal(cgroupStats?.pidsStats?.limit, 64n);
      assert.ok((cgroupStats?.memoryStats?.usage?.usage ?? 0n) > 0n && (cgroupStats?.cpuStats?.cpuUsage?.totalUsage ?? 0n) > 0n);
    });

    it('tells of each process that ran out of memory, once, and of none that did not', async () => {
      assert.deepEqual(oomEvents, []);
      const killed = await exec('app', ['sleep', 'inf']);
      await killed.signal(9);
      assert.equal((await killed.collect()).exitCode, 137);
      assert.equal((await (await exec('app', ['sh', '-c', 'ulimit -v 20000; tail /dev/zero; exit 1'])).collect()).exitCode, 1);
      assert.deepEqual(oomEvents, [], 'a kill and a refused allocation are no events');
      await client.kata.updateContainer({ containerId: 'web', resources: { Memory: { Limit: MEMORY_LIMIT } } });
      for (const id of ['app', 'web']) assert.equal((await (await exec(id, ['tail', '/dev/zero'])).collect()).exitCode, 137, id);
      await sleep(NO_MORE_EVENTS_MS);
      assert.deepEqual(oomEvents.toSorted(), ['app', 'web']);
    });

    it('passes signals on, and says how each process ended', async () => {
      const process = await exec('app', ['sh', '-c', 'trap "exit 33" USR1; echo ready; while :; do sleep 0.1; done']);
      assert.equal(await firstOutput(process), 'ready\n');
      await process.signal('SIGUSR1');
      assert.equal((await process.collect()).exitCode, 33);
      const other = await exec('web', ['sleep', 'inf']);
      await other.signal('SIGTERM');
      assert.equal((await other.collect()).exitCode, 143);
      assert.equal(await shell('app', 'cat /proc/1/comm'), 'sleep', 'the others run on');
    });

    it('lets go of a container that is stopped, and only of that', async () => {
      assert.equal(await stopContainer(client, 'app'), 137);
      const left = await runInGuest(client, [
        'sh',
        '-c',
        'ls -d /run/kata-containers/app /sys/fs/cgroup/workload/containers/kubepods/pod-1/app /sys/fs/cgroup/kubepods/pod-1/app 2>/dev/null; grep -c kata-containers/app/ /proc/1/mountinfo; true',
      ]);
      assert.equal(left, '0\n');
      assert.deepEqual((await peer.ask(CARD.ipv4, SERVER_PORT, Buffer.from('still there'))).toString(), 'still there');
    });

    it('ends with its data on the disk and its VM off', async () => {
      const [major, minor] = (await runInGuest(client, ['cat', '/sys/block/vdd/dev'])).trim().split(':');
      const node = { Path: '/dev/data', Type: 'b', Major: BigInt(major!), Minor: BigInt(minor!), FileMode: 0o600 };
      const writer = await startContainer(client, {
        id: 'writer',
        args: ['sh', '-c', 'exec 3>/dev/data; echo last words >&3; echo written; exec sleep inf'],
        disk: disks.busybox,
        sandboxPidns: true,
        linux: { Devices: [node] },
      });
      assert.equal(await firstOutput(writer), 'written\n');
      for (const id of ['web', 'pause']) assert.equal(await stopContainer(client, id), 137);
      const qemu = identify(guest.guest.pid)!;
      // The one that still runs ends with the sandbox.
      await client.kata.destroySandbox({});
      assert.ok(hasCode(await oomEnd, 'internal') || hasCode(await oomEnd, 'unavailable'), String(await oomEnd));
      assert.deepEqual(await guest.guest.waitExit(), { code: 0, signal: null });
      await allGone([qemu]);
      const written = await readFile(join(directory, 'data.img'));
      assert.equal(written.subarray(0, 11).toString(), 'last words\n');
    });
  });
}
