import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OomWatch, watchOom } from '../../../agent/container/oom.ts';

const events = (kills: number, max = 0) => `low 0\nhigh 0\nmax ${max}\noom ${kills}\noom_kill ${kills}\noom_group_kill 0\n`;

describe('the watch for out-of-memory kills', () => {
  let directory: string;
  let notice: (() => void) | undefined;
  let kills: number[];
  let watch: OomWatch | undefined;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-oom-'));
    notice = undefined;
    kills = [];
  });

  afterEach(async () => {
    watch?.close();
    watch = undefined;
    await rm(directory, { recursive: true });
  });

  /** The kernel's notice stands in for POLLPRI; the counter is a real file. */
  const door = {
    watchPriority: (_fd: number, onEvent: () => void) => {
      notice = onEvent;
      const close = () => {
        notice = undefined;
      };
      return { close, pause() {}, resume() {}, ref() {}, unref() {} };
    },
  };
  const start = async () => {
    watch = await watchOom(directory, (count) => kills.push(count), { door });
  };
  const write = (text: string) => writeFile(join(directory, 'memory.events'), text);

  it('tells of each increase, and only of increases', async () => {
    await write(events(0));
    await start();
    await write(events(1));
    notice?.();
    await watch?.check();
    await write(events(1, 5));
    notice?.();
    await watch?.check();
    await write(events(3));
    notice?.();
    await watch?.check();
    assert.deepEqual(kills, [1, 2]);
  });

  it('tells nothing of kills from before it began', async () => {
    await write(events(9));
    await start();
    notice?.();
    await watch?.check();
    assert.deepEqual(kills, []);
  });

  it('misses no kill whose notice comes while an earlier one is being looked into', async () => {
    await write(events(0));
    await start();
    notice?.();
    await write(events(1));
    notice?.();
    notice?.();
    await watch?.check();
    assert.deepEqual(kills, [1]);
  });

  it('finds a kill at the last check even if no notice ever came, as with a container that lives for a moment', async () => {
    await write(events(0));
    await start();
    await write(events(1));
    await watch?.check();
    assert.deepEqual(kills, [1]);
  });

  it('is silent after it was closed, even by a look that was under way', async () => {
    await write(events(0));
    await start();
    await write(events(1));
    const looking = watch?.check();
    watch?.close();
    watch?.close();
    await looking;
    await watch?.check();
    assert.deepEqual(kills, []);
    assert.equal(notice, undefined);
  });

  it('sees nothing where there is no memory controller', async () => {
    await start();
    await watch?.check();
    assert.deepEqual(kills, []);
  });
});
