// Thousands of datagrams of every kind and none, with fds and without, against the sanitized berth-init, and a model of what the fd store
// then has to hold. A failure names its seed: BERTH_FUZZ_SEED.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { native } from '../../../native/index.ts';
import { openFds, statusKb } from './processes.ts';
import { RawKeeper, rawMessage } from './raw-keeper.ts';
import { BUILDS, binaryOf, type Stub, Supervised } from './supervised.ts';

const SEED = Number(process.env['BERTH_FUZZ_SEED'] ?? 20_261_123);
const MESSAGES = process.env['BERTH_TEST_LONG'] ? 100_000 : 10_000;
const TYPE = { track: 1, ack: 2, settle: 3, powerOff: 4, pet: 5, resized: 6, upgrade: 7, put: 16, get: 17, delete: 18, list: 19 };
const SIZE: Record<number, number> = { 1: 32, 2: 24, 3: 8, 5: 8, 6: 8, 7: 240, 16: 32, 17: 32, 18: 32, 19: 8 };
const KEYS = 40;
const FDS_MAX = 16;

interface Datagram {
  bytes: Buffer;
  fds: number;
}

const header = fc.record({
  version: fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 0, 2, 0xffff),
  type: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...Object.values(TYPE).filter((type) => type !== TYPE.powerOff)) },
    { weight: 1, arbitrary: fc.integer({ min: 8, max: 0xffff }) },
  ),
  id: fc.nat(),
});
const datagram: fc.Arbitrary<Datagram> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc
      .record({
        header,
        key: fc.nat(KEYS - 1),
        says: fc.constantFrom(0, 0, 0, 1, -1, 999),
        fds: fc.nat(FDS_MAX),
        cut: fc.integer({ min: -2, max: 8 }),
      })
      .map(({ header: fields, key, says, fds, cut }) => {
        // Most have the right size.
        const length = Math.max(8, (SIZE[fields.type] ?? 32) + (cut > 2 ? 0 : cut));
        const bytes = rawMessage({ ...fields, length });
        if (length >= 28) {
          bytes[8] = key;
          bytes.writeUInt32LE((fds + says) >>> 0, 24);
        }
        return { bytes, fds };
      }),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ bytes: fc.uint8Array({ minLength: 1, maxLength: 320 }), fds: fc.nat(FDS_MAX) })
      .map(({ bytes, fds }) => {
        // Not by chance a power-off, the only message that may end it.
        if (bytes[2] === TYPE.powerOff && bytes[3] === 0) bytes[2] = 0;
        return { bytes: Buffer.from(bytes), fds };
      }),
  },
);

/** What the store holds after a datagram: fds by key. */
function apply(held: Map<string, number>, { bytes, fds }: Datagram): void {
  if (bytes.length < 8 || bytes.readUInt16LE(0) !== 1 || bytes.length !== 32) return;
  const type = bytes.readUInt16LE(2);
  const key = bytes.toString('hex', 8, 24);
  if (type === TYPE.put && fds > 0 && bytes.readUInt32LE(24) === fds) held.set(key, fds);
  if (type === TYPE.delete) held.delete(key);
}

for (const build of BUILDS) {
  describe(`the protocol of ${build.name}, fuzzed with seed ${SEED}`, function () {
    this.timeout(180_000);
    let init: Supervised;
    let agent: Stub;

    before(async () => {
      init = await Supervised.start(await binaryOf(build));
      agent = await init.agent();
    });
    after(() => init.stop());

    it(`holds after ${MESSAGES} datagrams exactly what it was given, grows by nothing and goes on`, async () => {
      const raw = new RawKeeper(agent.keeperFd);
      const pipe = native().pipe();
      const pool = Array.from({ length: FDS_MAX }, (_, i) => pipe[i % 2]!);
      const held = new Map<string, number>();
      const before = await openFds(init.process.pid!);
      const memory = build.sanitize ? 0 : await statusKb(init.process.pid!, 'VmData');
      let answers = 0;
      for (const one of fc.sample(datagram, { numRuns: MESSAGES, seed: SEED })) {
        apply(held, one);
        while (!raw.trySend(one.bytes, pool.slice(0, one.fds))) answers += raw.discard();
      }
      // The last answer comes after all the others, and what holds them up is read.
      while (!raw.trySend(rawMessage({ type: TYPE.get, id: 0xabcdef, length: 33 }))) answers += raw.discard();
      for (let last = false; !last; ) {
        const message = await raw.receive();
        assert.ok(message !== undefined, 'berth-init does not answer any more');
        last = message.type === 'result' && message.id === 0xabcdef;
        answers++;
      }
      const total = [...held.values()].reduce((sum, count) => sum + count, 0);
      console.log(`      ${answers} answers; ${held.size} keys hold ${total} fds`);
      assert.ok(held.size >= KEYS / 8, 'the messages hardly ever put anything');
      assert.equal(await openFds(init.process.pid!), before + total);
      if (!build.sanitize) assert.equal(await statusKb(init.process.pid!, 'VmData'), memory);
      for (const fd of pipe) native().close(fd);
      agent.kill();
      agent = await init.agent();
      const listed = new Map((await agent.keeper.fds.list()).map(({ key, count }) => [key.toString('hex'), count]));
      assert.deepEqual([...listed].sort(), [...held].sort());
      const pid = await agent.orphan('exit 5');
      assert.equal((await agent.keeper.exitOf(pid)).code, 5);
    });
  });
}
