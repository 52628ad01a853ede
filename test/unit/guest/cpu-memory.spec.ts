import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { hasCode } from '../../../agent/errors.ts';
import { countCpuList, onlineCpus, onlineMemory, probeMemory } from '../../../agent/guest/cpu-memory.ts';

describe('the CPUs and memory of the guest', () => {
  let sysDir: string;
  let fast: { sysDir: string; attempts: number; lookMs: number };

  beforeEach(async () => {
    sysDir = await mkdtemp(join(tmpdir(), 'berth-sys-'));
    fast = { sysDir, attempts: 3, lookMs: 5 };
  });
  afterEach(() => rm(sysDir, { recursive: true }));

  async function put(path: string, text: string): Promise<void> {
    await mkdir(join(sysDir, 'devices/system', path, '..'), { recursive: true });
    // In place at once, as the kernel's files change.
    await writeFile(join(sysDir, 'new'), text);
    await rename(join(sysDir, 'new'), join(sysDir, 'devices/system', path));
  }
  const get = (path: string) => readFile(join(sysDir, 'devices/system', path), 'utf8');

  async function cpus(online: string, states: Record<number, string>): Promise<void> {
    await put('cpu/online', `${online}\n`);
    await put('cpu/cpufreq/online', '0\n');
    await put('cpu/cpu0/topology', '');
    for (const [cpu, state] of Object.entries(states)) await put(`cpu/cpu${cpu}/online`, `${state}\n`);
  }

  it('are left as they are when as many CPUs as wanted, or more, are on line', async () => {
    await cpus('0-3', { 4: '0' });
    await onlineCpus(4, fast);
    await onlineCpus(1, fast);
    assert.equal(await get('cpu/cpu4/online'), '0\n');
  });

  it('come on line up to the total that is wanted and no further, whichever numbers they have', async () => {
    await cpus('0-1', { 1: '1', 7: '0', 8: '0', 9: '0' });
    // A kernel would have 4 in its list by now; this one gets no second look.
    await assert.rejects(onlineCpus(4, { ...fast, attempts: 1 }), /failed to online 2 CPU/);
    const states = await Promise.all([7, 8, 9].map((cpu) => get(`cpu/cpu${cpu}/online`)));
    assert.equal(states.filter((state) => state.startsWith('1')).length, 2);
    assert.equal(await get('cpu/cpufreq/online'), '0\n');
  });

  it('are waited for while they are being plugged in', async () => {
    await cpus('0', {});
    const timer = setTimeout(() => void put('cpu/cpu1/online', '0').then(() => put('cpu/online', '0-1')), 15);
    await onlineCpus(2, { ...fast, attempts: 200 });
    clearTimeout(timer);
  });

  it('that do not come are an error that says how many, after the retries', async () => {
    await cpus('0-1', {});
    await assert.rejects(
      onlineCpus(4, fast),
      (error) => hasCode(error, 'internal') && error.message === 'failed to online 2 CPU(s) after 3 retries',
    );
  });

  it('are no longer waited for when the caller is gone', async () => {
    await cpus('0', {});
    const gone = new AbortController();
    setTimeout(() => gone.abort(new Error('gone')), 10);
    await assert.rejects(onlineCpus(2, { sysDir, attempts: 1000, lookMs: 5, signal: gone.signal }));
  });

  it('come on line block by block, those that are and those without a switch left alone', async () => {
    await put('memory/block_size_bytes', '8000000');
    for (const [block, state] of [
      [0, '1'],
      [32, '0'],
      [33, '0'],
    ] as const)
      await put(`memory/memory${block}/online`, `${state}\n`);
    await put('memory/memory1/state', 'online');
    await onlineMemory({ sysDir });
    assert.deepEqual(await Promise.all([0, 32, 33].map((block) => get(`memory/memory${block}/online`))), ['1\n', '1\n', '1\n']);
  });

  it('of a kernel without memory hot-plug are an error', async () => {
    await assert.rejects(onlineMemory({ sysDir }), (error) => hasCode(error, 'not_found'));
  });

  it('are probed for at exact addresses, in upper case', async () => {
    await put('memory/probe', '');
    await probeMemory([0xffff_ffff_ffff_f000n], { sysDir });
    assert.equal(await get('memory/probe'), '0xFFFFFFFFFFFFF000');
    await probeMemory([], { sysDir });
  });

  it('are not probed for where the kernel has no such file, and none is made', async () => {
    await mkdir(join(sysDir, 'devices/system/memory'), { recursive: true });
    await assert.rejects(probeMemory([1n], { sysDir }), (error) => hasCode(error, 'not_found') && /0x1\b/.test(error.message));
    await assert.rejects(get('memory/probe'), { code: 'ENOENT' });
  });

  it('are probed for at no more addresses than anyone has', async () => {
    await assert.rejects(probeMemory(Array(4097).fill(0n), { sysDir }), (error) => hasCode(error, 'resource_exhausted'));
  });
});

describe("the kernel's list of CPUs", () => {
  it('is counted', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(4000), { minLength: 1, maxLength: 64 }), (numbers) => {
        const sorted = numbers.toSorted((a, b) => a - b);
        const ranges: string[] = [];
        for (let at = 0; at < sorted.length; ) {
          let end = at;
          while (sorted[end + 1] === sorted[end]! + 1) end++;
          ranges.push(end === at ? `${sorted[at]}` : `${sorted[at]}-${sorted[end]}`);
          at = end + 1;
        }
        assert.equal(countCpuList(`${ranges.join(',')}\n`), numbers.length);
      }),
    );
  });

  for (const text of ['', 'x', '0-', '-1', '3-1', '0,,1', '0-3:1/2', '9999999', '0x1']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => countCpuList(text),
        (error) => hasCode(error, 'internal'),
      );
    });
  }
});
