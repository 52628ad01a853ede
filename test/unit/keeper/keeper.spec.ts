// The agent's end of the wire, with the test in init's place.
import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { type Code, hasCode, isErrno } from '../../../agent/errors.ts';
import { connectKeeper, type Keeper } from '../../../agent/keeper/keeper.ts';
import { silentLogger } from '../../../agent/log.ts';
import { native } from '../../../native/index.ts';

const TRACK = 1;
const ACK = 2;
const POWER_OFF = 4;
const RESULT = { ok: 0, unknown: 1, full: 2, notSupported: 3 };

const withCode = (code: Code) => (error: unknown) => hasCode(error, code);

describe('the keeper', () => {
  let init: number;
  let fd: number;
  let keeper: Keeper;
  let open: number[];

  function send(type: number, id: number, ...rest: (number | bigint)[]): void {
    const body = rest.map((value) => {
      const bytes = Buffer.alloc(typeof value === 'bigint' ? 8 : 4);
      if (typeof value === 'bigint') bytes.writeBigUInt64LE(value);
      else bytes.writeUInt32LE(value);
      return bytes;
    });
    const header = Buffer.alloc(8);
    header.writeUInt16LE(1, 0);
    header.writeUInt16LE(type, 2);
    header.writeUInt32LE(id, 4);
    native().sendFds(init, Buffer.concat([header, ...body]), []);
  }
  const welcome = (generation: number) => send(64, 0, generation, 0, 4096, 0);
  const result = (id: number, code: number, startTime = 0n) => send(65, id, TRACK, code, startTime);
  const exit = (pid: number, status: number, startTime: bigint, flags = 0) =>
    send(66, 0, pid, status, startTime, 1_700_000_000_123_456_789n, flags, 0);

  /** The next request that the keeper sends. */
  async function request(): Promise<{ type: number; id: number; pid: number; startTime: bigint; bytes: Buffer }> {
    for (;;) {
      try {
        const { data } = native().recvFds(init, 256);
        const pid = data.length >= 12 ? data.readUInt32LE(8) : 0;
        const startTime = data.length >= 24 ? data.readBigUInt64LE(16) : 0n;
        return { type: data.readUInt16LE(2), id: data.readUInt32LE(4), pid, startTime, bytes: data };
      } catch (error) {
        if (!isErrno(error, 'EAGAIN')) throw error;
        await turn();
      }
    }
  }

  function closeInit(): void {
    native().close(init);
    open = [];
  }

  beforeEach(() => {
    [init, fd] = native().socketPair('seqpacket');
    open = [init];
    welcome(5);
    keeper = connectKeeper(fd, silentLogger);
  });
  afterEach(() => {
    keeper.close();
    for (const left of open) native().close(left);
  });

  it('knows its generation from the welcome', () => {
    assert.equal(keeper.generation, 5);
  });

  it('resolves with the exit and acknowledges it after those who wait have run', async () => {
    const order: string[] = [];
    const wait = keeper.exitOf(42, 1000n).then((record) => {
      order.push('delivered');
      return record;
    });
    const track = await request();
    assert.deepEqual([track.type, track.pid, track.startTime], [TRACK, 42, 1000n]);
    result(track.id, RESULT.ok, 1000n);
    exit(42, 3 << 8, 1000n);
    const ack = await request();
    order.push('acknowledged');
    assert.deepEqual([ack.type, ack.pid, ack.startTime], [ACK, 42, 1000n]);
    const record = await wait;
    assert.deepEqual(record, { pid: 42, startTime: 1000n, code: 3, coreDumped: false, exitedAt: 1_700_000_000_123 });
    assert.deepEqual(order, ['delivered', 'acknowledged']);
  });

  it('learns the start time it did not know from the answer', async () => {
    const wait = keeper.exitOf(42, undefined, 900n);
    const track = await request();
    assert.deepEqual([track.startTime, track.bytes.readBigUInt64LE(24)], [0n, 900n]);
    result(track.id, RESULT.ok, 1001n);
    exit(42, 9, 1001n);
    assert.deepEqual([(await wait).signal, (await wait).startTime], [9, 1001n]);
  });

  it('keeps two processes of one pid apart', async () => {
    const waits = [keeper.exitOf(42, 1n), keeper.exitOf(42, 2n)];
    result((await request()).id, RESULT.ok, 1n);
    result((await request()).id, RESULT.ok, 2n);
    exit(42, 7 << 8, 2n);
    exit(42, 6 << 8, 1n);
    const records = await Promise.all(waits);
    assert.deepEqual(
      records.map((record) => record.code),
      [6, 7],
    );
  });

  it('turns each refusal into its error', async () => {
    const refusals: [number, Code][] = [
      [RESULT.unknown, 'not_found'],
      [RESULT.full, 'resource_exhausted'],
      [RESULT.notSupported, 'internal'],
    ];
    for (const [code, expected] of refusals) {
      const wait = assert.rejects(keeper.exitOf(42), withCode(expected));
      result((await request()).id, code);
      await wait;
    }
    const lost = assert.rejects(keeper.exitOf(42, 1n), withCode('not_found'));
    result((await request()).id, RESULT.ok, 1n);
    exit(42, 0, 1n, 1);
    await lost;
    assert.equal((await request()).type, ACK);
    for (const pid of [0, -1, 1.5, 2 ** 32, Number.NaN]) await assert.rejects(keeper.exitOf(pid), withCode('invalid_argument'));
  });

  it('acknowledges an exit that nobody waits for', async () => {
    exit(43, 0, 8n);
    const ack = await request();
    assert.deepEqual([ack.type, ack.pid, ack.startTime], [ACK, 43, 8n]);
  });

  it('goes on after messages that it cannot read', async () => {
    native().sendFds(init, Buffer.from([1]), []);
    native().sendFds(init, Buffer.alloc(200, 0xff), []);
    send(77, 1);
    const wait = keeper.exitOf(42, 1n);
    result((await request()).id, RESULT.ok, 1n);
    exit(42, 0, 1n);
    assert.equal((await wait).code, 0);
  });

  it('loses no request when init reads slowly', async () => {
    const waits = Array.from({ length: 3000 }, (_, i) => keeper.exitOf(i + 1, 1n));
    keeper.powerOff();
    for (let i = 0; i < waits.length; i++) {
      const track = await request();
      assert.equal(track.pid, i + 1);
      result(track.id, RESULT.ok, 1n);
      exit(track.pid, 0, 1n);
      // Read the acknowledgements that mix in, as init does.
      if (i % 50 === 0) await turn();
    }
    await Promise.all(waits);
  });

  it('bounds what it waits for', async () => {
    const waits = Array.from({ length: 8193 }, (_, i) => keeper.exitOf(i + 1).catch((error: unknown) => error));
    assert.ok(hasCode(await waits[8192], 'resource_exhausted'));
    keeper.close();
    assert.ok(hasCode(await waits[0], 'cancelled'));
    await Promise.all(waits);
  });

  it('tells init to power off', async () => {
    keeper.powerOff();
    assert.equal((await request()).type, POWER_OFF);
  });

  it('rejects every wait when init closes its end, and later ones at once', async () => {
    const waits = [keeper.exitOf(1, 1n), keeper.exitOf(2, 1n)].map((wait) => assert.rejects(wait, withCode('unavailable')));
    result((await request()).id, RESULT.ok, 1n);
    await turn();
    closeInit();
    await Promise.all(waits);
    await assert.rejects(keeper.exitOf(3), withCode('unavailable'));
    keeper.powerOff();
  });

  it('refuses an fd that is no keeper socket', () => {
    const [a, b] = native().socketPair('seqpacket');
    const file = openSync('/dev/null', 'r');
    for (const wrong of [a, file, 999]) assert.throws(() => connectKeeper(wrong, silentLogger), withCode('unavailable'));
    for (const left of [a, b, file]) native().close(left);
  });
});
