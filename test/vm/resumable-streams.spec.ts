// Streams that go on where a connection broke, through the client that programs use, on a booted guest. Figures are printed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../agent/errors.ts';
import { dial } from '../../agent/transport/dial.ts';
import { parseEndpoint } from '../../agent/transport/endpoint.ts';
import { connect, type Guest } from '../../client/api/guest.ts';
import { BreakingProxy } from '../support/breaking-proxy.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';

const LONG = process.env['BERTH_TEST_LONG'] === '1';
/** 1 GiB in the long run. */
const LINES = LONG ? 114_000_000 : 1_500_000;
const CUTS = LONG ? 1000 : 30;
const STARTS = LONG ? 1000 : 25;

describe('streams over connections that break', () => {
  let booted: TestGuest;
  let proxy: BreakingProxy;
  let guest: Guest;

  before(async () => {
    booted = await sharedGuest();
    proxy = await BreakingProxy.start(() => dial(parseEndpoint(booted.guest.address), { timeoutMs: 10_000 }));
    guest = await connect(proxy.address, { name: 'test' });
  });
  after(async () => {
    await guest?.close();
    await proxy?.[Symbol.asyncDispose]();
  });
  afterEach(() => {
    proxy.breakAfter = undefined;
  });

  it(`give every byte once in order while the connection is cut ${CUTS} times at random`, async function () {
    this.timeout(LONG ? 3_600_000 : 180_000);
    const expected = await hashOnHost(LINES);
    // Until all cuts have been made, each connection carries about an equal share.
    const share = Math.ceil((1.3 * expected.bytes) / CUTS);
    proxy.breakAfter = () => (proxy.breaks < CUTS ? 200 + Math.floor(Math.random() * share) : Number.POSITIVE_INFINITY);
    proxy.cut();
    const started = performance.now();
    await using process = await guest.run(['seq', '1', `${LINES}`], { lifetime: 'keep' });
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of process.stdout) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    assert.equal(bytes, expected.bytes);
    assert.equal(hash.digest('hex'), expected.sha256);
    const ending = await process.wait();
    assert.deepEqual([ending.kind, ending.kind === 'exited' && ending.code], ['exited', 0]);
    assert.ok(proxy.breaks >= CUTS * 0.8, `${proxy.breaks} cuts`);
    const seconds = (performance.now() - started) / 1000;
    console.log(`      ${bytes} bytes, ${proxy.breaks} cuts, ${seconds.toFixed(1)} s`);
  });

  it('give every byte of input once while the connection is cut', async function () {
    this.timeout(120_000);
    const input = Buffer.alloc(2 * 1024 * 1024);
    for (let at = 0; at < input.length; at += 4) input.writeUInt32LE((at * 2654435761) >>> 0, at);
    await using process = await guest.run(['sha256sum'], { stdin: true, lifetime: 'keep' });
    let cuts = 0;
    const cutting = setInterval(() => {
      cuts++;
      proxy.cut();
    }, 700);
    try {
      for (let at = 0; at < input.length; at += 50_000) {
        await process.stdin.write(input.subarray(at, at + 50_000));
        await sleep(50);
      }
    } finally {
      clearInterval(cutting);
    }
    await process.stdin.end();
    assert.equal((await process.stdout.text()).slice(0, 64), createHash('sha256').update(input).digest('hex'));
    assert.ok(cuts > 2, `${cuts} cuts`);
  });

  it('tell what was evicted as exactly one gap with its bounds', async () => {
    await using process = await guest.run(['seq', '1', '200000'], { stdout: { delivery: 'latest', limitBytes: 65_536 } });
    await process.wait();
    const { stdout } = await process.inspect();
    assert.ok((stdout?.start ?? 0n) > 0n);
    const other = await guest.attach(process.ref.processId, { from: 0n });
    const pieces = await Array.fromAsync(other.stdout.pieces());
    const gaps = pieces.filter(({ kind }) => kind === 'gap');
    assert.deepEqual(gaps, [{ kind: 'gap', from: 0n, to: stdout?.start }]);
    const text = Buffer.concat(pieces.flatMap((piece) => (piece.kind === 'data' ? [piece.data] : []))).toString();
    assert.ok(text.endsWith('199999\n200000\n'));
    assert.equal(BigInt(text.length), stdout!.end! - stdout!.start!);
  });

  it(`start a program once for each of ${STARTS} keys, though replies are lost at random and starts are repeated`, async function () {
    this.timeout(LONG ? 1_800_000 : 180_000);
    await (await guest.run(['rm', '-rf', '/run/ran'])).wait();
    const cutting = setInterval(() => {
      if (Math.random() < 0.5) proxy.cut();
    }, 150);
    const before = proxy.carried;
    try {
      for (let n = 0; n < STARTS; n++) {
        const process = await guest.run(['sh', '-c', `echo ${n} >> /run/ran`], { key: `once-${n}`, lifetime: 'keep' });
        await process.wait();
        await process.forget();
      }
    } finally {
      clearInterval(cutting);
    }
    await using process = await guest.run(['sort', '-n', '/run/ran']);
    const ran = (await process.stdout.text()).trim().split('\n');
    assert.deepEqual(
      ran,
      Array.from({ length: STARTS }, (_, n) => `${n}`),
    );
    assert.ok(proxy.carried > before);
  });

  it('refuse an offset that was never written', async () => {
    await using process = await guest.run(['sleep', '100']);
    const other = await guest.attach(process.ref.processId, { from: 1n << 40n });
    await assert.rejects(other.stdout.text(), (error) => hasCode(error, 'out_of_range'));
  });

  it('tell each event once and in order while the subscriber is cut', async function () {
    this.timeout(60_000);
    const controller = new AbortController();
    const seen: bigint[] = [];
    const following = (async () => {
      for await (const { sequence, kind } of guest.events({ signal: controller.signal })) {
        if (!kind.startsWith('client.')) seen.push(sequence);
      }
    })();
    await sleep(300);
    const all: bigint[] = [];
    const direct = await connect(booted.guest.address);
    const complete = (async () => {
      for await (const { sequence, kind } of direct.events({ signal: controller.signal }))
        if (!kind.startsWith('client.')) all.push(sequence);
    })();
    await sleep(300);
    for (let n = 0; n < 10; n++) {
      const process = await direct.run(['true']);
      await process.wait();
      await process.forget();
      proxy.cut();
    }
    await sleep(2_000);
    controller.abort();
    await Promise.all([following, complete]);
    await direct.close();
    assert.ok(all.length >= 20, `${all.length} events`);
    assert.deepEqual(seen.slice(-all.length), all);
  });
});

async function hashOnHost(lines: number): Promise<{ sha256: string; bytes: number }> {
  const child = spawn('seq', ['1', `${lines}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of child.stdout) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return { sha256: hash.digest('hex'), bytes };
}
