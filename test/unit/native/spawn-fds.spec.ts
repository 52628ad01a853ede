// spawn's fd table: exactly what was named, in the order named, however sources and targets overlap.
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { native } from '../../../native/index.ts';
import { exitOf, spawn } from './fixture.ts';

/** Lists the fds of an `ls` started with `fds(out)`, where `out` must be at 1: what each leads to, by fd. */
async function childFds(fds: (out: number) => number[]): Promise<Map<number, string>> {
  const [readEnd, writeEnd] = native().pipe();
  const given = fds(writeEnd);
  const child = spawn('/bin/ls', ['-l', '/proc/self/fd'], { fds: given });
  native().close(writeEnd);
  const text = readFileSync(readEnd, 'utf8');
  native().close(readEnd);
  await exitOf(child);
  const table = new Map<number, string>();
  for (const [, fd, target] of text.matchAll(/ (\d+) -> (.*)$/gm)) table.set(Number(fd), target!);
  // ls reads the folder through the first number that is free, which is the one after ours.
  assert.match(table.get(given.length) ?? '', /^\/proc\/\d+\/fd$/);
  table.delete(given.length);
  return table;
}

describe('native spawn fds', () => {
  const FILES = 8;
  let folder = '';
  let pathOf = new Map<number, string>();
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-fds-'));
    const paths = Array.from({ length: FILES }, (_, i) => join(folder, `file${i}`));
    pathOf = new Map(paths.map((path) => [openSync(path, 'w'), path]));
  });
  after(() => {
    for (const fd of pathOf.keys()) closeSync(fd);
    rmSync(folder, { recursive: true });
  });

  it('gives /dev/null for -1', async () => {
    const table = await childFds((out) => [-1, out, -1]);
    assert.deepEqual([table.get(0), table.get(2)], ['/dev/null', '/dev/null']);
  });

  it('passes nothing that was not named, the own stdio included', async () => {
    const table = await childFds((out) => [-1, out]);
    assert.deepEqual([...table.keys()], [0, 1]);
  });

  it('takes one source for several targets', async () => {
    const [fd, path] = [...pathOf][0]!;
    const table = await childFds((out) => [fd, out, fd, fd]);
    assert.deepEqual([table.get(0), table.get(2), table.get(3)], [path, path, path]);
  });

  it('gives each target its own source when sources are themselves targets', async () => {
    const sources = [...pathOf.keys()];
    // More targets than the highest source: each source number is also a target, and is overwritten on the way.
    const targets = Math.max(...sources) + 4;
    const pick = fc.constantFrom(-1, ...sources);
    const picks = fc.array(pick, { minLength: 2, maxLength: targets });
    await fc.assert(
      fc.asyncProperty(picks, async (chosen) => {
        const table = await childFds((out) => chosen.with(1, out));
        const expected = chosen.map((source) => pathOf.get(source) ?? '/dev/null').with(1, table.get(1)!);
        assert.deepEqual(
          [...table].sort(([a], [b]) => a - b).map(([, target]) => target),
          expected,
        );
        assert.match(table.get(1)!, /^pipe:/);
      }),
      { numRuns: 80, examples: [[Array.from({ length: targets }, (_, i) => sources[(i + 1) % FILES]!)]] },
    );
  });

  it('gives each target its own source when two neighbours are swapped', async () => {
    const [a, b] = [...pathOf.keys()] as [number, number];
    const last = Math.max(a, b);
    const table = await childFds((out) => Array.from({ length: last + 1 }, (_, i) => ({ [a]: b, [b]: a, 1: out })[i] ?? -1));
    assert.deepEqual([table.get(a), table.get(b)], [pathOf.get(b), pathOf.get(a)]);
  });

  it('gives the child blocking descriptors that share nothing close-on-exec', async () => {
    const [fd] = [...pathOf][0]!;
    const script = 'grep -h ^flags: /proc/self/fdinfo/0 /proc/self/fdinfo/2';
    const [readEnd, writeEnd] = native().pipe();
    const child = spawn('/bin/sh', ['-c', script], { fds: [fd, writeEnd, -1] });
    native().close(writeEnd);
    const flags = readFileSync(readEnd, 'utf8')
      .trim()
      .split('\n')
      .map((line) => Number.parseInt(line.split('\t')[1]!, 8));
    native().close(readEnd);
    await exitOf(child);
    const O_CLOEXEC = 0o2000000;
    assert.equal(flags.length, 2);
    assert.ok(flags.every((flag) => (flag & O_CLOEXEC) === 0));
  });
});
