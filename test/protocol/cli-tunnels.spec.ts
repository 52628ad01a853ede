// `berth port-forward` and `berth top` as a user runs them, on the real agent of this machine.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { berth, PipedBerth, until } from '../support/berth-cli.ts';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';

describe('berth', function () {
  this.timeout(30_000);
  let agent: NativeTestAgent;
  let env: Record<string, string>;
  let folder: string;
  let server: net.Server;
  let port: number;

  before(async () => {
    agent = await startNativeAgent();
    env = { BERTH_ADDRESS: agent.address };
    folder = await mkdtemp(join(tmpdir(), 'berth-forward-'));
    server = net.createServer((socket) => socket.on('error', () => {}).end('from the guest\n')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as net.AddressInfo).port;
  });
  after(async () => {
    server?.close();
    await agent?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  it('port-forward leads ports and sockets into the guest until it is interrupted, and leaves nothing', async () => {
    const path = join(folder, 'here.sock');
    const forward = new PipedBerth(['port-forward', `:${port}`, `${path}:${port}`, `:${join(folder, 'none')}`], { env });
    await forward.printed('none of the guest');
    const [first, second, third] = forward.stdout.trim().split('\n');
    const [, own] = /^127\.0\.0\.1:(\d+) leads to port \d+ of the guest$/.exec(first!)!;
    assert.equal(second, `${path} leads to port ${port} of the guest`);
    assert.equal(await text(net.connect(Number(own), '127.0.0.1')), 'from the guest\n');
    assert.equal(await text(net.connect(path)), 'from the guest\n');
    // One that leads nowhere is told, and ends nothing.
    const [, nowhere] = /^127\.0\.0\.1:(\d+) /.exec(third!)!;
    await assert.rejects(text(net.connect(Number(nowhere), '127.0.0.1')), { code: 'ECONNRESET' });
    await until(
      () => forward.stderr.includes('ENOENT'),
      () => forward.stderr,
    );
    assert.equal(await text(net.connect(Number(own), '127.0.0.1')), 'from the guest\n');
    forward.child.kill('SIGINT');
    assert.equal((await forward.finished()).status, 130);
    assert.equal(existsSync(path), false);
  });

  it('port-forward says what is wrong before it listens', async () => {
    const cases: [string[], RegExp][] = [
      [[], /^berth: give a port to forward, e\.g\. 8080:80$/m],
      [['nobody', '8080:80'], /^berth: container `nobody` not found/m],
      [['8080:x'], /^berth: invalid forward '8080:x': 'x' is no port/m],
      [[`${port}:80`], /EADDRINUSE/],
    ];
    for (const [args, words] of cases) {
      const { status, stderr } = await berth(['port-forward', ...args], { env });
      assert.equal(status, 125);
      assert.match(stderr, words);
    }
  });

  it('top shows the agent once, for people and for programs', async () => {
    const { stdout, status } = await berth(['top', '--once'], { env });
    assert.equal(status, 0);
    assert.match(stdout, /^up .+, heap .+iB, resident .+iB, loop delay \d+\.\d ms, logs 0B, 0 tunnels\n\nCLIENT +NAME/);
    assert.match(stdout, /^c\d+ +berth +grpc +unix +0 +1 /m);
    const json = JSON.parse((await berth(['top', '--once', '--json'], { env })).stdout);
    assert.ok(json.residentBytes > json.heapBytes && json.clients.length > 0);
    assert.match((await berth(['top', '--interval', '0'], { env })).stderr, /invalid --interval '0'/);
  });

  it('top goes on until it is interrupted', async () => {
    const looking = new PipedBerth(['top', '--interval', '0.1', '--json'], { env });
    await until(
      () => looking.stdout.split('\n').length > 3,
      () => looking.stderr,
    );
    looking.child.kill('SIGINT');
    assert.equal((await looking.finished()).status, 130);
    const looks = looking.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).uptimeMs as number);
    assert.ok(looks[1]! > looks[0]!);
  });
});
