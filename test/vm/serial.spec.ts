// The second way to the guest: one without any vsock device, reached over a virtio-serial port and over a UART.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { hasCode } from '../../agent/errors.ts';
import { HEADER_BYTES, MAX_PAYLOAD_BYTES } from '../../agent/transport/serial/frame.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { connectKata } from '../../client/kata/connect.ts';
import { createContainer, type KataContainer } from '../../client/kata/container.ts';
import type { Protocol } from '../../client/rpc/open-channel.ts';
import { dieInsideFrame } from '../support/broken-serial-client.ts';
import { bootTestGuest, type TestGuest } from '../support/guest.ts';

const BULK = 2 << 20;
const UART_BULK = 64 << 10;
const DEATHS = 20;

describe('a guest without vsock', () => {
  let guest: TestGuest;

  before(async function () {
    this.timeout(200_000);
    // With nothing configured the agent takes the virtio-serial port; the UART is beside it because we ask.
    guest = await bootTestGuest({ way: 'serial', uart: true, cmdline: ['berth.serial_addr=serial:///dev/ttyS1'] });
  });

  after(async () => {
    await guest?.[Symbol.asyncDispose]();
  });

  for (const protocol of ['ttrpc', 'grpc'] as const) {
    it(`runs a container over virtio-serial and ${protocol}: every byte of its output, its input, its exit code`, async () => {
      await using client = await guest.connect(protocol);
      const container = await job(client, guest, BULK, `virtio-serial, ${protocol}`);
      await container.remove();
    });
  }

  it('runs one over a UART, and speaks both protocols there', async () => {
    const dial = (protocol: Protocol) => connectKata(guest.guest.uartAddress!, { protocol, timeoutMs: 60_000 });
    await using client = await dial('grpc');
    const container = await job(client, guest, UART_BULK, 'UART, grpc');
    await container.remove();
    await client.close();
    await using other = await dial('ttrpc');
    assert.match(await other.version(), /^\d/);
  });

  it('tells a second client that the line is taken, and the first one notices nothing', async () => {
    const first = await guest.connect('ttrpc');
    await assert.rejects(guest.connect('ttrpc'), (error) => {
      assert.ok(hasCode(error, 'resource_exhausted'), String(error));
      assert.match(error.message, /another client is connected, and a serial line takes one at a time/);
      return true;
    });
    assert.match(await first.version(), /^\d/);
    await first.close();
    const next = await guest.connect('grpc');
    assert.match(await next.version(), /^\d/);
    await next.close();
  });

  it(`is reached again each time after ${DEATHS} clients that died inside a frame`, async () => {
    const path = guest.guest.address.slice('serial://'.length);
    const whole = HEADER_BYTES + MAX_PAYLOAD_BYTES;
    const times: number[] = [];
    for (let death = 0; death < DEATHS; death++) {
      await dieInsideFrame(path, MAX_PAYLOAD_BYTES, 1 + Math.floor((death * (whole - 2)) / (DEATHS - 1)));
      const from = performance.now();
      await using client = await guest.connect(death % 2 === 0 ? 'ttrpc' : 'grpc');
      assert.match(await client.version(), /^\d/);
      times.push(Math.round(performance.now() - from));
    }
    console.log(`      back after ${times.join(', ')} ms`);
  });

  it('keeps the port from containers', async () => {
    await using client = await guest.connect('ttrpc');
    const container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox });
    await container.start();
    const script =
      'ls /dev | grep -E "vport|ttyS|hvc"; mknod /tmp/p c $(cat /sys/class/virtio-ports/*/dev | tr : " "); cat /tmp/p';
    const look = await container.exec({ args: ['sh', '-c', script] });
    const { stdout, exitCode } = await look.collect();
    assert.equal(stdout.toString(), '');
    assert.notEqual(exitCode, 0);
    await container.remove();
  });
});

async function job(client: AgentClient, guest: TestGuest, bulk: number, over: string): Promise<KataContainer> {
  const container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox });
  await container.start();
  const sent = Buffer.alloc(16 << 10, 'berth ');
  const cat = await container.exec({ args: ['cat'] });
  const [, back] = await Promise.all([cat.stdin.write(sent).then(() => cat.stdin.end()), cat.collect()]);
  assert.ok(back.stdout.equals(sent));

  const flood = await container.exec({ args: ['sh', '-c', `yes berth | head -c ${bulk}; exit 7`] });
  const from = performance.now();
  const { stdout, exitCode } = await flood.collect();
  console.log(`      ${over}: ${(bulk / 1e3 / (performance.now() - from)).toFixed(2)} MB/s of output`);
  assert.equal(exitCode, 7);
  assert.equal(sha256(stdout), sha256(Buffer.from('berth\n'.repeat(bulk / 6 + 1)).subarray(0, bulk)));
  return container;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
