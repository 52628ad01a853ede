// Tunnels into a booted guest: to its own network, and to the network and the root of a container that has both to itself.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import type { Container } from '../../client/api/container.ts';
import { connect, type Guest } from '../../client/api/guest.ts';
import { type Tunnel, TunnelError, type TunnelTarget } from '../../client/api/tunnel.ts';
import { prepareRoot } from '../../client/rootfs.ts';
import { openChannel } from '../../client/rpc/open-channel.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';
import { guestResources } from '../support/guest-resources.ts';
import { TestTunnel } from '../support/tunnels-client.ts';

const MIB = 1024 * 1024;
/** Of the container that shares the guest's network, and of the one that has its own. */
const [GUEST_PORT, OWN_PORT] = [7000, 7001];
const SOCKET = '/run/listener.sock';

/** Listens on a port, a path and an abstract name; the first line of a connection says what it does with it. */
const LISTENER = `
use strict; use Socket; $| = 1;
sub listener { my ($family, $address) = @_;
  socket(my $s, $family, SOCK_STREAM, 0) or die; setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1); bind($s, $address) or die "bind: $!";
  listen($s, 64) or die; return $s; }
my @listeners = (listener(PF_INET, pack_sockaddr_in($ARGV[0], INADDR_LOOPBACK)), listener(PF_UNIX, pack_sockaddr_un('${SOCKET}')),
  listener(PF_UNIX, pack_sockaddr_un("\\0listener-$ARGV[0]")));
symlink('${SOCKET}', '/run/absolute'); symlink('../../../../..${SOCKET}', '/run/climbing'); symlink('/proc/1/root${SOCKET}', '/run/magic');
$SIG{CHLD} = 'IGNORE';
print "listening\\n";
while (1) {
  my $set = ''; vec($set, fileno($_), 1) = 1 for @listeners; select(my $ready = $set, undef, undef, undef);
  for my $l (grep { vec($ready, fileno($_), 1) } @listeners) {
    accept(my $c, $l) or next; next if fork; binmode($c); my $command = '';
    while ($command !~ /\\n/) { sysread($c, $command, 1, length $command) or last; }
    chomp $command;
    if ($command eq 'echo') { local $/; my $all = <$c>; print {$c} $all; }
    if ($command eq 'early') { syswrite($c, 'bye'); shutdown($c, 1); local $/; my $all = <$c>; open(my $f, '>', '/tmp/got'); print {$f} $all; close $f; rename('/tmp/got', '/tmp/got-all'); }
    if ($command eq 'deaf') { sleep 1000; }
    if ($command eq 'reset') { setsockopt($c, SOL_SOCKET, SO_LINGER, pack('ll', 1, 0)); }
    exit 0;
  }
}
`;

describe('tunnels into a guest', function () {
  this.timeout(120_000);
  let booted: TestGuest;
  let guest: Guest;
  let own: Container;
  const containers: Container[] = [];

  before(async () => {
    booted = await sharedGuest();
    guest = await connect(booted.guest.address, { name: 'tunnels' });
    await listeningContainer('shares-network', GUEST_PORT, []);
    own = await listeningContainer('own-network', OWN_PORT, [{ type: 'network' }]);
  });
  after(async () => {
    for (const container of containers) await container.remove();
    await guest?.close();
  });

  async function listeningContainer(id: string, port: number, namespaces: object[]): Promise<Container> {
    const { storages, rootPath } = prepareRoot(id, booted.debian);
    const spec = {
      process: { args: ['perl', '-e', LISTENER, `${port}`], cwd: '/', env: ['PATH=/usr/bin:/bin'], capabilities: {} },
      root: { path: rootPath },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/run', type: 'tmpfs', source: 'tmpfs' },
        { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' },
      ],
      linux: { namespaces: [{ type: 'mount' }, ...namespaces] },
    };
    const channel = await openChannel(booted.guest.address, { protocol: 'grpc' });
    const request = berth.v1.CreateContainerRequest.encode({
      id,
      specJson: JSON.stringify(spec),
      storages: storages.map(({ fstype, ...storage }) => ({ ...storage, filesystem: fstype ?? '' })),
    }).finish();
    await channel.unary('berth.v1.Containers', 'Create', request);
    channel.close();
    const container = guest.container(id);
    await container.start();
    containers.push(container);
    const init = await container.init();
    for await (const line of init.stdout.lines()) if (line === 'listening') return container;
    throw new Error(`${id} does not listen: ${await init.stderr.text()}`);
  }

  const refused = (errno: string) => (error: unknown) => error instanceof TunnelError && error.errno === errno;
  const ask = async (from: Guest | Container, to: TunnelTarget, command: string): Promise<Tunnel> => {
    const tunnel = await from.tunnel(to);
    tunnel.write(`${command}\n`);
    return tunnel;
  };

  const places: [string, () => Guest | Container, TunnelTarget, number][] = [
    ['a port of the guest', () => guest, { port: GUEST_PORT }, 2],
    ['a port of a container with a network of its own', () => own, { port: OWN_PORT }, 1],
    ['a Unix socket in a container', () => own, { unix: SOCKET }, 2],
    ['an abstract Unix socket of its network', () => own, { unix: `@listener-${OWN_PORT}` }, 1],
  ];
  for (const [what, from, to, megabytes] of places) {
    it(`carry megabytes to ${what} and back, each side ending for itself`, async () => {
      const sent = randomBytes(megabytes * MIB);
      const started = performance.now();
      const echo = await ask(from(), to, 'echo');
      echo.end(sent);
      const back = await buffer(echo);
      const ms = performance.now() - started;
      assert.ok(back.equals(sent));
      console.log(`      ${megabytes} MiB there and back in ${ms.toFixed(0)} ms`);
    });
  }

  it('go on upwards after the listener has ended its side', async () => {
    const sent = randomBytes(2 * MIB);
    const early = await ask(own, { unix: SOCKET }, 'early');
    assert.equal((await buffer(early)).toString(), 'bye');
    early.end(sent);
    await once(early, 'close');
    await using sum = await own.run(['sh', '-c', 'until [ -f /tmp/got-all ]; do sleep 0.05; done; sha256sum < /tmp/got-all']);
    assert.equal((await sum.stdout.text()).split(' ')[0], createHash('sha256').update(sent).digest('hex'));
  });

  it('lead to the network and the root that were named, and to no other', async () => {
    await assert.rejects(guest.tunnel({ port: OWN_PORT }), refused('ECONNREFUSED'));
    await assert.rejects(own.tunnel({ port: GUEST_PORT }), refused('ECONNREFUSED'));
    await assert.rejects(guest.tunnel({ unix: `@listener-${OWN_PORT}` }), refused('ECONNREFUSED'));
    await assert.rejects(guest.tunnel({ unix: SOCKET }), refused('ENOENT'));
    await assert.rejects(own.tunnel({ unix: '/run/none' }), refused('ENOENT'));
    // Links count from the container's root, however they climb; one of /proc leads nowhere.
    for (const path of ['/run/absolute', '/run/climbing', `/../..${SOCKET}`]) (await own.tunnel({ unix: path })).destroy();
    await assert.rejects(own.tunnel({ unix: '/run/magic' }), refused('ELOOP'));
  });

  it('tell a reset', async () => {
    const reset = await ask(own, { port: OWN_PORT }, 'reset');
    reset.resume();
    const [error] = (await once(reset, 'error')) as [Error];
    assert.ok(refused('ECONNRESET')(error), String(error));
  });

  it('stand still with a listener that never reads, and no other does', async () => {
    const deaf = await ask(own, { port: OWN_PORT }, 'deaf');
    deaf.on('error', () => {});
    let taken = 0;
    const write = () => {
      deaf.write(Buffer.alloc(64 * 1024), () => {
        taken += 64 * 1024;
        write();
      });
    };
    write();
    for (let before = -1; before !== taken; ) {
      before = taken;
      await sleep(300);
    }
    const sent = randomBytes(MIB);
    const echo = await ask(own, { port: OWN_PORT }, 'echo');
    echo.end(sent);
    assert.ok((await buffer(echo)).equals(sent));
    console.log(`      the listener that never reads was sent ${(taken / MIB).toFixed(1)} MiB`);
    deaf.destroy();
  });

  it('leave nothing in the guest when their client vanishes', async () => {
    const before = await guestResources(booted);
    const channel = await openChannel(booted.guest.address, { protocol: 'grpc' });
    const half = Array.from({ length: 20 }, (_, at) => {
      const target = at % 2 === 0 ? { unix: { path: SOCKET } } : { tcp: { port: OWN_PORT } };
      return new TestTunnel(channel, { ...target, containerId: own.id, credit: MIB });
    });
    for (const tunnel of half) await tunnel.write(Buffer.from('echo\nhalf of it'));
    channel.close();
    let after = await guestResources(booted);
    for (let tries = 0; after.agentFds > before.agentFds && tries < 20; tries++) after = await guestResources(booted);
    assert.deepEqual(after, before);
  });

  it('are refused for a container that has ended, and cut when it is removed', async () => {
    const container = await listeningContainer('ends', OWN_PORT, [{ type: 'network' }]);
    const tunnel = await ask(container, { port: OWN_PORT }, 'deaf');
    const over = Promise.race([once(tunnel, 'end'), once(tunnel, 'error')]);
    tunnel.resume();
    const init = await container.init();
    await init.kill('KILL');
    await Promise.all([over, init.wait()]);
    await assert.rejects(container.tunnel({ port: OWN_PORT }), { code: 'failed_precondition' });
  });
});
