// The fds that berth-init holds: the same open files for every later agent, bounded, and closed when nobody wants them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readlinkSync, readSync, writeSync } from 'node:fs';
import { hasCode } from '../../../agent/errors.ts';
import { encodeFdList, encodeFdRequest } from '../../../agent/keeper/wire.ts';
import { native } from '../../../native/index.ts';
import { openFds } from './processes.ts';
import { RawKeeper } from './raw-keeper.ts';
import { BUILDS, binaryOf, type Stub, Supervised } from './supervised.ts';

const KEYS_MAX = 16_384;
const FDS_MAX = 49_152;

for (const build of BUILDS) {
  describe(`the fd store of ${build.name}`, function () {
    this.timeout(60_000);
    let init: Supervised;
    let agent: Stub;
    const open: number[] = [];

    beforeEach(async () => {
      init = await Supervised.start(await binaryOf(build));
      agent = await init.agent();
    });
    afterEach(async () => {
      for (const fd of open.splice(0)) native().close(fd);
      await init.stop();
    });

    function pipe(): [number, number] {
      const ends = native().pipe();
      open.push(...ends);
      return ends;
    }
    const keyOf = (text: string) => Buffer.from(text.padEnd(16, '\0'));
    const write = (fd: number, text: string) => assert.equal(writeSync(fd, text), text.length);
    function read(fd: number): string {
      const buffer = Buffer.alloc(64);
      return buffer.subarray(0, readSync(fd, buffer)).toString();
    }
    const isGiven = async (key: Buffer, count: number) => {
      const fds = await agent.keeper.fds.get(key);
      open.push(...fds);
      assert.equal(fds.length, count);
      return fds;
    };

    it('gives the same open files back, in their order, and again to the next agent', async () => {
      const [[r1, w1], [r2, w2]] = [pipe(), pipe()];
      const before = await openFds(init.process.pid!);
      await agent.keeper.fds.put(keyOf('a'), [r1, w1, r2, w2]);
      assert.equal(await openFds(init.process.pid!), before + 4, 'held by the time the promise resolves');
      for (const fd of open.splice(0)) native().close(fd);
      for (const generation of ['1', '2', '3']) {
        const fds = await isGiven(keyOf('a'), 4);
        write(fds[1]!, `first ${generation}`);
        write(fds[3]!, `second ${generation}`);
        assert.equal(read(fds[2]!), `second ${generation}`);
        assert.equal(read(fds[0]!), `first ${generation}`);
        agent.kill();
        agent = await init.agent();
      }
      assert.deepEqual(await agent.keeper.fds.list(), [{ key: keyOf('a'), count: 4 }]);
    });

    it('closes what is replaced or deleted, and nothing else', async () => {
      const before = await openFds(init.process.pid!);
      const [reader, writer] = pipe();
      await agent.keeper.fds.put(keyOf('a'), [writer, reader]);
      await agent.keeper.fds.put(keyOf('b'), [reader]);
      await agent.keeper.fds.put(keyOf('a'), [writer]);
      assert.equal(await openFds(init.process.pid!), before + 2);
      native().close(open.pop()!); // the writer: now the store's is the last
      await agent.keeper.fds.delete(keyOf('a'));
      assert.equal(read(reader), '', 'the last writer is gone');
      await agent.keeper.fds.delete(keyOf('a'));
      assert.deepEqual(await agent.keeper.fds.get(keyOf('a')), []);
      await agent.keeper.fds.put(keyOf('b'), []);
      assert.deepEqual(await agent.keeper.fds.list(), []);
      assert.equal(await openFds(init.process.pid!), before);
    });

    it('keeps from the agent it starts what it holds', async () => {
      const ends = pipe();
      await agent.keeper.fds.put(keyOf('a'), [...ends, ...ends]);
      agent.kill();
      agent = await init.agent();
      const theirs = await agent.sh('ls -l /proc/$PPID/fd');
      const inode = readlinkSync(`/proc/self/fd/${ends[0]}`);
      assert.match(theirs, /pipe:\[/);
      assert.ok(!theirs.includes(inode));
    });

    it('carries out what is asked without waiting in its order, and lists more than a socket takes', async () => {
      const { fds } = agent.keeper;
      const ends = pipe();
      const keys = Array.from({ length: 3000 }, () => randomBytes(16));
      const puts = keys.map((key, i) => fds.put(key, ends.slice(0, 1 + (i % 2))));
      const deletes = keys.slice(0, 1000).map((key) => fds.delete(key));
      const listed = fds.list();
      const later = fds.put(keyOf('later'), ends);
      await Promise.all([...puts, ...deletes, later]);
      const counts = new Map((await listed).map(({ key, count }) => [key.toString('hex'), count]));
      assert.deepEqual(
        [...counts.keys()].sort(),
        keys
          .slice(1000)
          .map((key) => key.toString('hex'))
          .sort(),
      );
      for (const [i, key] of keys.entries()) if (i >= 1000) assert.equal(counts.get(key.toString('hex')), 1 + (i % 2));
      const got = await Promise.all(keys.map((key) => fds.get(key)));
      open.push(...got.flat());
      assert.deepEqual(
        got.map((some) => some.length),
        keys.map((_key, i) => (i < 1000 ? 0 : 1 + (i % 2))),
      );
    });

    it('refuses a key, a number or an fd that it cannot take, and goes on', async () => {
      const { fds } = agent.keeper;
      const [fd] = pipe();
      const invalid = (error: unknown) => hasCode(error, 'invalid_argument');
      await assert.rejects(fds.put(Buffer.alloc(15), [fd]), invalid);
      await assert.rejects(fds.get(Buffer.alloc(17)), invalid);
      await assert.rejects(fds.delete(Buffer.alloc(0)), invalid);
      await assert.rejects(fds.put(keyOf('a'), Array(17).fill(fd)), invalid);
      await assert.rejects(fds.put(keyOf('a'), [-1]), invalid);
      await assert.rejects(fds.put(keyOf('a'), [fd, 1_000_000]), invalid);
      await fds.put(keyOf('a'), Array(16).fill(fd));
      assert.deepEqual(await fds.list(), [{ key: keyOf('a'), count: 16 }]);
    });

    it('says that it is full, keeps what it has, and takes more after a delete', async () => {
      const { fds } = agent.keeper;
      const [fd] = pipe();
      const full = (error: unknown) => hasCode(error, 'resource_exhausted');
      const keys = Array.from({ length: KEYS_MAX }, (_, i) => keyOf(`${i}`));
      for (let at = 0; at < KEYS_MAX; at += 4096) await Promise.all(keys.slice(at, at + 4096).map((key) => fds.put(key, [fd])));
      await assert.rejects(fds.put(keyOf('more'), [fd]), full);
      await fds.put(keys[0]!, [fd, fd]);
      await fds.delete(keys[1]!);
      await fds.put(keyOf('more'), [fd]);
      // Now the fds: sixteen under each key until that is too much, for the store or for the limit of open files it was given.
      let wide = 0;
      const widen = (key: Buffer) => fds.put(key, Array(16).fill(fd)).then(() => wide++);
      await assert.rejects(async () => {
        for (let at = 2; at < KEYS_MAX; at += 64) await Promise.all(keys.slice(at, at + 64).map(widen));
      }, full);
      await fds.list(); // comes after all of them
      assert.ok(wide > 100 && 15 * wide + KEYS_MAX + 1 <= FDS_MAX, `${wide} keys with 16 fds`);
      await isGiven(keys.at(-1)!, 1);
      await isGiven(keys[2]!, 16);
      const total = (await fds.list()).reduce((sum, { count }) => sum + count, 0);
      assert.equal(total, KEYS_MAX + 1 + 15 * wide);
      const before = await openFds(init.process.pid!);
      const all = [keyOf('more'), ...keys];
      for (let at = 0; at < all.length; at += 4096) await Promise.all(all.slice(at, at + 4096).map((key) => fds.delete(key)));
      assert.equal(await openFds(init.process.pid!), before - total);
    });

    it('goes on when the agent asks and asks and reads nothing', async () => {
      const raw = new RawKeeper(agent.keeperFd);
      const before = await openFds(init.process.pid!);
      const [fd] = pipe();
      for (let i = 0; i < 1000; i++) {
        while (!raw.trySend(encodeFdRequest(i, 'put', keyOf(`${i}`), 16), Array(16).fill(fd))) raw.tryReceive();
      }
      for (let i = 0; i < 5000; i++) {
        const request = i % 100 === 0 ? encodeFdList(i) : encodeFdRequest(i, 'get', keyOf(`${i % 1000}`));
        if (!raw.trySend(request)) break;
      }
      agent.kill();
      native().close(raw.fd);
      agent = await init.agent();
      assert.equal((await agent.keeper.fds.list()).length, 1000);
      assert.equal(await openFds(init.process.pid!), before + 16_000);
    });
  });
}
