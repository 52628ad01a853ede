import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Journal } from '../../../agent/keeper/journal.ts';
import { decodeJournal, encodeHeader, JOURNAL_SCHEMA } from '../../../agent/keeper/journal-format.ts';
import { loadJournal } from '../../../agent/keeper/journal-load.ts';
import { loadRing, RecordRing } from '../../../agent/keeper/record-ring.ts';
import { StateRecord } from '../../../agent/keeper/state-record.ts';

describe('the journal', () => {
  let directory: string;
  const open: Journal[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'berth-journal-'));
  });
  afterEach(async () => {
    for (const journal of open.splice(0)) await journal.close();
    await rm(directory, { recursive: true, force: true });
  });

  const journalOf = async (options?: ConstructorParameters<typeof Journal>[1]) => {
    const journal = new Journal(directory, options);
    open.push(journal);
    await journal.ready();
    return journal;
  };
  const left = async () => {
    const loaded = await loadJournal(directory);
    assert.equal(loaded?.degraded, undefined);
    return Object.fromEntries((loaded?.records ?? []).map(({ kind, id, value }) => [`${kind}/${id}`, value]));
  };

  it('costs nothing until it is needed, and then keeps what was said before', async () => {
    const journal = new Journal(directory);
    open.push(journal);
    journal.put('container', 'a', { pid: 5 });
    assert.deepEqual(await readdir(directory), []);
    await journal.ready();
    assert.deepEqual(await left(), { 'container/a': { pid: 5 } });
  });

  it('has the newest word on each thing in its file when put and remove return', async () => {
    const journal = await journalOf();
    journal.put('container', 'a', { pid: 5n });
    journal.put('container', 'b', { pid: 6n });
    journal.put('container', 'a', { pid: 7n });
    journal.remove('container', 'b');
    journal.remove('container', 'never');
    assert.deepEqual(await left(), { 'container/a': { pid: 7n } });
  });

  it('goes on where an earlier agent stopped, which may have been anywhere', async () => {
    for (let agent = 0; agent < 5; agent++) {
      const journal = await journalOf({ from: await loadJournal(directory) });
      journal.put('agent', `${agent}`, agent);
      await journal.close();
    }
    assert.deepEqual(await left(), { 'agent/0': 0, 'agent/1': 1, 'agent/2': 2, 'agent/3': 3, 'agent/4': 4 });
  });

  it('stays as large as it was made, however much goes through it', async () => {
    const journal = await journalOf();
    const before = await sizes();
    for (let n = 0; n < 20_000; n++) {
      journal.put('process', `p${n % 50}`, { n, text: 'x'.repeat(100) });
      if (n % 3 === 0) journal.remove('process', `p${(n + 7) % 50}`);
    }
    assert.deepEqual(await sizes(), before);
    const state = await left();
    assert.deepEqual((state['process/p49'] as { n: number }).n, 19_999);
  });

  it('grows with what has to be kept, refuses what is too much, and lets things be removed all the same', async () => {
    const journal = await journalOf({ maxBytes: 512 * 1024 });
    const big = { text: 'x'.repeat(8_000) };
    let kept = 0;
    assert.throws(
      () => {
        for (; kept < 1_000; kept++) journal.put('process', `p${kept}`, big);
      },
      { code: 'resource_exhausted' },
    );
    assert.ok(kept > 50 && kept < 70, `${kept}`);
    assert.equal(Object.keys(await left()).length, kept);
    for (let n = 0; n < kept; n++) journal.remove('process', `p${n}`);
    assert.deepEqual(await left(), {});
    journal.put('process', 'again', big);
    assert.deepEqual(Object.keys(await left()), ['process/again']);
  });

  it('puts one that is damaged aside, and gives what could be read of it as a hint', async () => {
    const journal = await journalOf();
    for (const id of ['a', 'b', 'c']) journal.put('container', id, { id });
    await journal.close();
    const file = join(directory, 'journal.1');
    const bytes = await readFile(file);
    bytes[bytes.indexOf('"b"')]! ^= 1;
    await writeFile(file, bytes);
    const loaded = await loadJournal(directory);
    assert.match(loaded?.degraded ?? '', /record at byte \d+ is damaged/);
    assert.deepEqual(
      loaded?.records.map(({ id }) => id),
      ['a', 'c'],
    );
    assert.deepEqual((await readdir(directory)).sort(), ['journal.0.quarantined', 'journal.1.quarantined']);
    assert.equal(decodeJournal(await readFile(`${file}.quarantined`)).state, 'damaged');
  });

  it('of a newer agent is put aside and named, and nothing of it is believed', async () => {
    await writeFile(join(directory, 'journal.1'), encodeHeader(1n, JOURNAL_SCHEMA + 1));
    const loaded = await loadJournal(directory);
    assert.deepEqual(loaded?.records, []);
    assert.equal(loaded?.degraded, `the journal has schema ${JOURNAL_SCHEMA + 1}, and this agent reads up to ${JOURNAL_SCHEMA}`);
    assert.deepEqual(await readdir(directory), ['journal.1.quarantined']);
  });

  it('keeps what changes of a thing, until the thing is dropped', async () => {
    const journal = await journalOf();
    const record = new StateRecord<{ pid: number; exit?: number }>(journal, 'process', 'a', { pid: 5 });
    record.update({ exit: 7 });
    assert.deepEqual(await left(), { 'process/a': { pid: 5, exit: 7 } });
    record.drop();
    record.update({ exit: 8 });
    assert.deepEqual(await left(), {});
  });

  it('has a ring beside it that holds the newest of what comes, in order', async () => {
    const ring = new RecordRing(directory, 'events', { segmentBytes: 4096 });
    for (let n = 0; n < 1_000; n++) {
      ring.append({ kind: 'event', id: `${n}`, value: n });
      if (n === 0) while ((await loadRing(directory, 'events')).records.length === 0) await new Promise(setImmediate);
    }
    const { records } = await loadRing(directory, 'events');
    const values = records.map(({ value }) => value as number);
    assert.equal(values.at(-1), 999);
    assert.ok(values.length > 100, `${values.length}`);
    assert.deepEqual(
      values,
      Array.from({ length: values.length }, (_, n) => 1_000 - values.length + n),
    );
    assert.ok((await stat(join(directory, 'events.0'))).size <= 4096);
  });

  async function sizes(): Promise<number[]> {
    return await Promise.all(['journal.0', 'journal.1'].map(async (name) => (await stat(join(directory, name))).size));
  }
});
