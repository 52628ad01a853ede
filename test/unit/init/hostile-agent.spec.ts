// Whatever an agent sends or fails to read, berth-init goes on.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readStartTime } from '../../../agent/keeper/proc-start-time.ts';
import { type ExitRecord, encodeAck, encodeFdRequest, encodeTrack } from '../../../agent/keeper/wire.ts';
import { native } from '../../../native/index.ts';
import { openFds, untilGone } from './processes.ts';
import { RawKeeper, rawMessage } from './raw-keeper.ts';
import { BUILDS, binaryOf, type Stub, Supervised } from './supervised.ts';

const TYPE = { track: 1, ack: 2, settle: 3, powerOff: 4, fdPut: 16, fdGet: 17, fdDelete: 18, fdList: 19 };

for (const build of BUILDS) {
  describe(`${build.name} and a hostile agent`, function () {
    this.timeout(60_000);
    let init: Supervised;
    let agent: Stub;
    let raw: RawKeeper;

    beforeEach(async () => {
      init = await Supervised.start(await binaryOf(build));
      agent = await init.agent();
      raw = new RawKeeper(agent.keeperFd);
      const welcome = await raw.receive();
      assert.deepEqual(welcome, { type: 'welcome', version: 1, generation: 1, tracked: 0, trackedMax: 4096, watchdogMs: 30_000 });
    });
    afterEach(async () => {
      native().close(raw.fd);
      await init.stop();
    });

    async function stillWorks(): Promise<void> {
      const pid = await agent.orphan('exit 5');
      const track = encodeTrack(77, pid, await readStartTime(pid), 0n);
      while (!raw.trySend(track)) raw.tryReceive();
      for (;;) {
        const message = await raw.receive();
        assert.ok(message !== undefined, 'berth-init does not answer');
        if (message.type === 'exit' && message.record.pid === pid) return assert.equal(message.record.code, 5);
      }
    }

    it('refuses what it does not know, and closes the fds that came along with anything it does not keep', async () => {
      const before = await openFds(init.process.pid!);
      const pipe = native().pipe();
      for (const type of [20, 999]) {
        raw.trySend(rawMessage({ type, id: type, length: 32 }), [...pipe, ...pipe]);
        const { id, result } = await raw.result();
        assert.deepEqual({ id, result }, { id: type, result: 'not-supported' });
      }
      raw.trySend(Buffer.alloc(3), pipe);
      assert.equal((await raw.result()).result, 'malformed');
      const key = Buffer.alloc(16, 7);
      for (const count of [0, 1, 3, 16, 17, 2 ** 32 - 1]) {
        raw.trySend(encodeFdRequest(1, 'put', key, count), pipe);
        assert.equal((await raw.result()).result, 'malformed', `a put of two that says ${count}`);
      }
      raw.trySend(encodeFdRequest(1, 'put', key, 0));
      assert.equal((await raw.result()).result, 'malformed');
      for (const what of ['get', 'delete'] as const) {
        raw.trySend(encodeFdRequest(1, what, key), pipe);
        assert.equal((await raw.result()).result, 'unknown');
      }
      for (const fd of pipe) native().close(fd);
      assert.equal(await openFds(init.process.pid!), before);
    });

    it('answers a message of the wrong version, size or value with malformed', async () => {
      const wrong = [
        rawMessage({ type: TYPE.track, version: 2, length: 32, id: 1 }),
        rawMessage({ type: TYPE.track, length: 31, id: 2 }),
        rawMessage({ type: TYPE.track, length: 33, id: 3 }),
        rawMessage({ type: TYPE.ack, length: 8, id: 4 }),
        rawMessage({ type: TYPE.settle, length: 9, id: 5 }),
        rawMessage({ type: TYPE.powerOff, length: 8, id: 6 }),
        rawMessage({ type: TYPE.track, length: 32, id: 7 }),
        rawMessage({ type: TYPE.track, length: 300, id: 8 }),
        rawMessage({ type: TYPE.powerOff, length: 65_000, id: 9 }),
        rawMessage({ type: TYPE.fdPut, length: 31, id: 10 }),
        rawMessage({ type: TYPE.fdGet, length: 8, id: 11 }),
        rawMessage({ type: TYPE.fdDelete, length: 33, id: 12 }),
        rawMessage({ type: TYPE.fdList, length: 9, id: 13 }),
      ];
      for (const [i, message] of wrong.entries()) {
        raw.trySend(message);
        const { id, result } = await raw.result();
        assert.deepEqual({ id, result }, { id: i + 1, result: 'malformed' });
      }
      await stillWorks();
      assert.match(init.stderr, /berth-init: agent generation 1 sent a message/);
      assert.ok(init.stderr.split('\n').length <= 7, 'a bad agent floods the console');
    });

    it('survives arbitrary messages', async () => {
      const body = fc.uint8Array({ maxLength: 320 });
      const near = fc.record({
        version: fc.constantFrom(0, 1, 1, 1, 1, 2, 0xffff),
        type: fc.oneof(fc.constantFrom(TYPE.track, TYPE.ack, TYPE.settle), fc.integer({ min: 7, max: 100 })),
        id: fc.nat(),
        length: fc.constantFrom(8, 16, 24, 32, 40),
        body,
      });
      await fc.assert(
        fc.asyncProperty(fc.array(fc.oneof(body, near), { minLength: 1, maxLength: 50 }), async (messages) => {
          for (const message of messages) {
            let bytes = 'type' in message ? rawMessage(message) : message;
            if ('type' in message) (bytes as Buffer).set(message.body.subarray(0, message.length - 8), 8);
            if (bytes.length === 0) bytes = Buffer.alloc(1);
            // Not by chance a power-off: type 4 is the only message that may end it.
            if (bytes.length >= 4 && bytes[2] === TYPE.powerOff && bytes[3] === 0) bytes[2] = 0;
            while (!raw.trySend(bytes)) raw.tryReceive();
          }
          while (raw.tryReceive() !== undefined);
        }),
        { numRuns: 300 },
      );
      await stillWorks();
      assert.equal(init.process.exitCode, null);
    });

    it('holds everything back for an agent that does not read, and loses no tracked exit', async () => {
      const gate = `${init.directory}/held`;
      const child = `(read -r x < ${gate}; exit 3) >/dev/null 2>&1 & echo $!`;
      const output = await agent.sh(`mkfifo ${gate}; i=0; while [ $i -lt 600 ]; do ${child}; i=$((i + 1)); done`);
      const pids = output.trim().split('\n').map(Number);
      for (const [i, pid] of pids.entries()) {
        while (!raw.trySend(encodeTrack(i + 1, pid, undefined, 0n)));
        assert.equal((await raw.result()).result, 'ok');
      }
      // The agent's questions fill both directions; init must go on reaping.
      let sent = 0;
      while (sent < 20_000 && raw.trySend(rawMessage({ type: 99, id: 1 }))) sent++;
      await agent.sh(`echo > ${gate}`);
      await Promise.all(pids.map(untilGone));
      const told = new Set<number>();
      for (;;) {
        const message = await raw.receive(500);
        if (message === undefined) break;
        if (message.type === 'exit') told.add(message.record.pid);
      }
      assert.deepEqual(
        pids.filter((pid) => !told.has(pid)),
        [],
      );
    });

    it('answers a second question about an exit although the acknowledgement of the first answer comes after it', async () => {
      const pid = await agent.orphan('exit 6');
      await untilGone(pid);
      raw.trySend(encodeTrack(1, pid, undefined, 0n));
      assert.equal((await raw.result()).result, 'ok');
      const first = await raw.receive();
      assert.ok(first?.type === 'exit');
      process.kill(init.process.pid!, 'SIGSTOP');
      raw.trySend(encodeTrack(2, pid, first.record.startTime, 0n));
      raw.trySend(encodeAck(first.record));
      process.kill(init.process.pid!, 'SIGCONT');
      assert.equal((await raw.result()).result, 'ok');
      assert.deepEqual(await raw.receive(), first);
      raw.trySend(encodeAck(first.record));
      raw.trySend(encodeTrack(3, pid, first.record.startTime, 0n));
      assert.equal((await raw.result()).result, 'unknown');
    });

    it('says that its table is full instead of forgetting, and has room again after an ack', async () => {
      const TABLE = 4096;
      const BATCH = 512;
      const pids: number[] = [];
      for (let batch = 0; pids.length <= TABLE; batch++) {
        const gate = `${init.directory}/full-${batch}`;
        const child = `(exec < ${gate}; exit 3) >/dev/null 2>&1 & echo $!`;
        const output = await agent.sh(`mkfifo ${gate}; i=0; while [ $i -lt ${BATCH} ]; do ${child}; i=$((i + 1)); done`);
        const started = output.trim().split('\n').map(Number);
        await agent.sh(`: > ${gate}`);
        await Promise.all(started.map(untilGone));
        pids.push(...started);
      }
      let record: ExitRecord | undefined;
      const track = async (pid: number) => {
        assert.ok(raw.trySend(encodeTrack(pid, pid, undefined, 0n)));
        const answer = await raw.result();
        if (answer.result !== 'ok') return answer.result;
        const exit = await raw.receive();
        assert.ok(exit?.type === 'exit' && exit.record.pid === pid);
        record = exit.record;
        return 'ok';
      };
      const results: string[] = [];
      for (const pid of pids.slice(0, TABLE + 1)) results.push(await track(pid));
      assert.equal(results.indexOf('full'), TABLE);
      raw.trySend(encodeAck(record!));
      assert.equal(await track(pids[TABLE]!), 'ok');
    });
  });
}
