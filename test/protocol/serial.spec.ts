// The agent at a serial line, without a VM: a terminal in the place of the UART, and a host's socket that takes one connection at a time.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../agent/errors.ts';
import { encodeFrame, FRAME_TYPES, HEADER_BYTES, MAX_PAYLOAD_BYTES } from '../../agent/transport/serial/frame.ts';
import { connectKata } from '../../client/kata/connect.ts';
import { dieInsideFrame } from '../support/broken-serial-client.ts';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';
import { processesAt } from '../support/processes-client.ts';
import { SerialPort } from '../support/serial-port.ts';

const TIMEOUT_MS = 60_000;
const DEATHS = [1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, MAX_PAYLOAD_BYTES];

describe('the agent at a serial line', function () {
  this.timeout(TIMEOUT_MS);
  let folder: string;
  let port: SerialPort;
  let agent: NativeTestAgent;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-serial-'));
    port = await SerialPort.open(join(folder, 'port.sock'));
    agent = await startNativeAgent({ KATA_AGENT_SERVER_ADDR: `serial:${port.device}` });
  });

  after(async () => {
    await agent?.[Symbol.asyncDispose]();
    await port?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const address = () => `serial://${port.path}`;

  for (const protocol of ['ttrpc', 'grpc'] as const) {
    it(`speaks ${protocol} to one client after the other`, async () => {
      for (let turn = 0; turn < 5; turn++) {
        await using client = await connectKata(address(), { protocol, timeoutMs: TIMEOUT_MS });
        assert.match(await client.version(), /^\d/);
      }
    });
  }

  it('carries the streams of a process, both ways and every byte of them', async () => {
    const processes = await processesAt(address());
    try {
      const ref = await processes.sh('', 'yes berth | head -c 1000000; exit 3');
      const { stdout, exit } = await processes.collect(ref);
      assert.equal(exit.code, 3);
      assert.equal(stdout, 'berth\n'.repeat(166_667).slice(0, 1_000_000));
    } finally {
      await processes[Symbol.asyncDispose]();
    }
  });

  it('tells a second client on the line that it is busy while the first one lives', async () => {
    await using first = await connectKata(address(), { timeoutMs: TIMEOUT_MS });
    port.shared = true;
    try {
      await assert.rejects(connectKata(address(), { timeoutMs: TIMEOUT_MS }), (error) => {
        assert.ok(hasCode(error, 'resource_exhausted'), String(error));
        return true;
      });
    } finally {
      port.shared = false;
    }
    assert.match(await first.version(), /^\d/);
  });

  for (const cut of DEATHS) {
    it(`serves the next client after one that died ${cut} bytes into a frame`, async () => {
      await dieInsideFrame(port.path, MAX_PAYLOAD_BYTES, cut);
      await using client = await connectKata(address(), { timeoutMs: TIMEOUT_MS });
      assert.match(await client.version(), /^\d/);
    });
  }

  it('serves the next client after anything on the line: noise, half a frame, frames of nobody', async () => {
    for (const type of Object.values(FRAME_TYPES)) {
      port.inject(Buffer.from('login: \xb5SL\x01\xb5\xb5', 'latin1'));
      port.inject(encodeFrame({ type, session: 99n, sent: 5, taken: 7, payload: Buffer.from('stale') }));
    }
    port.inject(
      encodeFrame({ type: FRAME_TYPES.data, session: 99n, sent: 0, taken: 0, payload: Buffer.alloc(900) }).subarray(0, 80),
    );
    await using client = await connectKata(address(), { protocol: 'grpc', timeoutMs: TIMEOUT_MS });
    assert.match(await client.version(), /^\d/);
  });

  it('ends the connection, and takes the next one, when bytes of it are lost', async () => {
    const client = await connectKata(address(), { timeoutMs: TIMEOUT_MS });
    port.loseNext(100);
    await assert.rejects(client.kata.getGuestDetails({ memBlockSize: true }), (error) => hasCode(error, 'unavailable'));
    await client.closed;
    await using next = await connectKata(address(), { timeoutMs: TIMEOUT_MS });
    assert.match(await next.version(), /^\d/);
  });

  it('says what is missing where nobody answers', async () => {
    const silent = await SerialPort.open(join(folder, 'silent.sock'));
    try {
      await assert.rejects(
        connectKata(`serial://${silent.path}`, { timeoutMs: 700 }),
        (error) => hasCode(error, 'unavailable') && /no agent answers on the line/.test(String(error.cause)),
      );
    } finally {
      await silent[Symbol.asyncDispose]();
    }
  });
});
