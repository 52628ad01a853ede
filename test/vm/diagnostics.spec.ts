// What a host may look inside with, on a booted guest: the log's port, the debug console, traces, the agent's name and version.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { dial } from '../../agent/transport/dial.ts';
import { parseEndpoint, parseListenEndpoint } from '../../agent/transport/endpoint.ts';
import { listen } from '../../agent/transport/listen.ts';
import { bootTestGuest, type TestGuest } from '../support/guest.ts';
import { guestResources, runInGuest } from '../support/guest-resources.ts';
import { spanReader } from '../support/span-reader.ts';

const LOG_PORT = 1025;
const CONSOLE_PORT = 1026;
const TRACE_PORT = 10_240;
const WAIT_MS = 60_000;
const CMDLINE = [
  `agent.log_vport=${LOG_PORT}`,
  'agent.debug_console',
  `agent.debug_console_vport=${CONSOLE_PORT}`,
  'agent.trace',
];

/** A connection whose text is gathered. */
class Reader {
  text = '';
  readonly socket: net.Socket;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk;
    });
    socket.on('error', () => {});
  }

  async until(pattern: RegExp): Promise<string> {
    const end = performance.now() + WAIT_MS;
    for (; ; await sleep(20)) {
      const match = pattern.exec(this.text);
      if (match) return match[1] ?? match[0];
      assert.ok(performance.now() < end, `no ${pattern} in ${JSON.stringify(this.text.slice(-2_000))}`);
    }
  }

  async close(): Promise<void> {
    if (this.socket.closed) return;
    const closed = once(this.socket, 'close');
    this.socket.destroy();
    await closed;
  }
}

describe('diagnostics of a booted guest', function () {
  this.timeout(300_000);
  let guest: TestGuest;

  before(async function () {
    this.timeout(300_000);
    guest = await bootTestGuest({ cmdline: CMDLINE });
  });
  after(() => guest?.[Symbol.asyncDispose]());

  const connect = async (port: number) => new Reader(await dial(parseEndpoint(guest.guest.portAddress(port))));

  it("keeps the log's lines for the first reader of its port, under Kata's keys, and goes on with the next reader", async () => {
    const first = await connect(LOG_PORT);
    const line = JSON.parse(await first.until(/^(.*"agent listening".*)\n/m)) as Record<string, unknown>;
    const { msg, level, version, subsystem, name, source, pid, ts } = line;
    assert.deepEqual(
      { msg, level, version, subsystem, name, source },
      {
        msg: 'agent listening',
        level: 'INFO',
        version: '0.1.0',
        subsystem: 'root',
        name: 'kata-agent',
        source: 'agent',
      },
    );
    assert.match(String(pid), /^[1-9]\d*$/);
    assert.equal(typeof pid, 'string');
    assert.match(String(ts), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    for (const text of first.text.trim().split('\n').slice(0, -1)) JSON.parse(text);
    await first.close();

    await using client = await guest.connect('ttrpc');
    await assert.rejects(client.kata.startContainer({ containerId: 'nobody' }));
    const second = await connect(LOG_PORT);
    await second.until(/"call failed".*StartContainer/);
    await second.close();
    const onConsole = guest.guest.consoleTail().filter((text) => text.includes('"call failed"'));
    assert.deepEqual(onConsole, [], 'the console is not told what the port is');
  });

  it('runs a shell on a terminal of its own for each connection, which knows its keys', async () => {
    const shell = await connect(CONSOLE_PORT);
    shell.socket.write('echo $((6 * 7)); tty; stty size; cat /proc/self/cgroup\r');
    await shell.until(/[\r\n]42\r\n\/dev\/pts\/\d+\r\n24 80\r\n0::\/berth-console-\d+\r\n/);
    shell.socket.write('sleep 1000\r');
    await sleep(1_000);
    shell.socket.write('\x03');
    await shell.until(/\^C/);
    shell.socket.write('echo interrupted $?\r');
    await shell.until(/[\r\n](interrupted 130)\r\n/);
    shell.socket.write('exit\r');
    await once(shell.socket, 'close');
  });

  it('leaves nothing of a session whose host has gone, daemons included', async () => {
    await using client = await guest.connect('ttrpc');
    const first = await connect(CONSOLE_PORT);
    first.socket.write('exit\r');
    await once(first.socket, 'close');
    const before = await guestResources(guest);
    const shell = await connect(CONSOLE_PORT);
    shell.socket.write(
      'setsid sh -c "trap : TERM HUP; sleep 4321; sleep 4322" > /dev/null 2>&1 & sleep 4323 & echo ready $((1 + 1))\r',
    );
    await shell.until(/[\r\n]ready 2\r\n/);
    const count = ['sh', '-c', 'grep -l "432[123]" /proc/[0-9]*/cmdline 2>/dev/null | grep -v "/$$/" | wc -l; ls /sys/fs/cgroup'];
    const during = await runInGuest(client, count);
    assert.ok(Number(during.split('\n')[0]) >= 3, during);
    await shell.close();
    const end = performance.now() + WAIT_MS;
    let later = '';
    do {
      later = await runInGuest(client, count);
    } while (/berth-console/.test(later) && performance.now() < end);
    assert.doesNotMatch(later, /berth-console/);
    assert.equal(later.split('\n')[0], '0');
    // The exporter of traces dials now and then, which is one descriptor for a moment.
    let after = await guestResources(guest);
    while (after.agentFds !== before.agentFds && performance.now() < end) after = await guestResources(guest);
    assert.deepEqual(after, before);
  });

  it('bounds the sessions, and says so to one too many', async () => {
    const shells = await Promise.all(Array.from({ length: 8 }, () => connect(CONSOLE_PORT)));
    for (const [at, shell] of shells.entries()) shell.socket.write(`echo this is ${at} $((${at} + 100))\r`);
    for (const [at, shell] of shells.entries()) await shell.until(new RegExp(`[\\r\\n]this is ${at} ${at + 100}\\r\\n`));
    const ninth = await connect(CONSOLE_PORT);
    assert.match(await ninth.until(/8 sessions.*\r\n/), /open already/);
    await Promise.all(shells.map((shell) => shell.close()));
    // The guest hears of the ends a little later.
    for (const end = performance.now() + WAIT_MS; ; await sleep(50)) {
      const next = await connect(CONSOLE_PORT);
      next.socket.write('echo again $((1 + 2))\r');
      const answer = await next.until(/[\r\n](again 3)\r\n|(?<refused>sessions are open)/);
      await next.close();
      if (answer === 'again 3') break;
      assert.ok(performance.now() < end, 'no session came free');
    }
  });

  it('sends a span of each call to the host, as a child of the one its client names', async () => {
    const spans: Record<string, unknown>[] = [];
    const texts: string[] = [];
    const listener = await listen(
      parseListenEndpoint(guest.guest.hostPortAddress(TRACE_PORT)),
      { allowedCid: 'any' },
      ({ socket }) => {
        const read = spanReader((json, text) => {
          spans.push(json);
          texts.push(text);
        });
        socket.on('data', read).on('error', () => {});
        socket.resume();
      },
    );
    try {
      for (const protocol of ['ttrpc', 'grpc'] as const) {
        await using client = await guest.connect(protocol);
        const metadata = { traceparent: `00-${protocol === 'grpc' ? 'a' : 'b'}${'0'.repeat(30)}1-000000000000002a-01` };
        await assert.rejects(client.kata.startContainer({ containerId: 'untold' }, { metadata }));
      }
      const end = performance.now() + WAIT_MS;
      const mine = () => spans.filter((span) => span['name'] === 'start_container' && span['parent_span_id'] === 42);
      while (mine().length < 2) {
        assert.ok(performance.now() < end, `${spans.length} spans, none of mine: ${texts.at(-1)}`);
        await sleep(50);
      }
      const [first] = mine();
      assert.equal(first!['status_code'], 'Error');
      assert.match(String(first!['status_message']), /untold/);
      assert.ok(texts.some((text) => text.includes(`"trace_id":${BigInt(`0xb${'0'.repeat(30)}1`)},`)));
      assert.ok(texts.some((text) => text.includes(`"trace_id":${BigInt(`0xa${'0'.repeat(30)}1`)},`)));
      const { secs_since_epoch: start } = first!['start_time'] as { secs_since_epoch: number };
      const { secs_since_epoch: finish } = first!['end_time'] as { secs_since_epoch: number };
      assert.ok(finish >= start && Math.abs(finish - Date.now() / 1000) < 600);
      assert.ok(
        spans.some((span) => span['name'] === 'create_sandbox'),
        'spans from before there was a forwarder',
      );
    } finally {
      await listener.close();
    }
  });

  it("is known as kata-agent to Kata's tools", async () => {
    await using client = await guest.connect('ttrpc');
    const names =
      'for pid in $(cat /proc/1/task/1/children); do cat /proc/$pid/comm; tr "\\0" "\\n" < /proc/$pid/cmdline | head -1; done';
    assert.match(await runInGuest(client, ['sh', '-c', names]), /^kata-agent\nkata-agent\n/m);
    assert.match(
      await runInGuest(client, ['/usr/bin/kata-agent', '--version']),
      /^kata-agent version 0\.1\.0 \(api version: 0\.0\.1, commit version: \S+, type: rust, extra-features: \["seccomp"\]\)\n$/,
    );
  });
});
