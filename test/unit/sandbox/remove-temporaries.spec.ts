// Names that a file has for a moment, written down by one agent and taken away by the next.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTemporaryName, TEMPORARY_KIND, TemporaryNames } from '../../../agent/guest/files/temporary-name.ts';
import { Journal } from '../../../agent/keeper/journal.ts';
import { loadJournal } from '../../../agent/keeper/journal-load.ts';
import { silentLogger } from '../../../agent/log.ts';
import { removeTemporaries } from '../../../agent/sandbox/remove-temporaries.ts';
import { native } from '../../../native/index.ts';

describe('a name that a file has for a moment', () => {
  let folder: string;
  let journal: Journal;
  const nextAgent = async () => {
    await journal.close();
    const loaded = await loadJournal(join(folder, 'state'));
    assert.ok(loaded !== undefined);
    journal = new Journal(join(folder, 'state'), { from: loaded });
    await journal.ready();
    const temporaries = [...loaded.records].filter(({ kind }) => kind === TEMPORARY_KIND);
    const sandbox = { container: () => assert.fail('no container') };
    await removeTemporaries({ sandbox, door: native(), state: journal, log: silentLogger }, temporaries);
    return temporaries.map(({ id }) => id);
  };
  const leave = async () => {
    await using directory = await open(join(folder, 'files'));
    const temporary = await new TemporaryNames(journal).beside({ directory: directory.fd, name: 'file' });
    await writeFile(join(folder, 'files', temporary.name), 'half');
    return temporary;
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-temporaries-'));
    await mkdir(join(folder, 'files'));
    journal = new Journal(join(folder, 'state'));
  });
  afterEach(async () => {
    await journal.close();
    await rm(folder, { recursive: true });
  });

  it('goes with the agent that gave it, and nothing else does', async () => {
    await writeFile(join(folder, 'files', 'file'), 'whole');
    const { name } = await leave();
    assert.ok(isTemporaryName(name));
    assert.deepEqual(await nextAgent(), [name]);
    assert.deepEqual(await readdir(join(folder, 'files')), ['file']);
    assert.deepEqual(await nextAgent(), []);
  });

  it('is not looked for once the file has its own', async () => {
    const temporary = await leave();
    await rename(join(folder, 'files', temporary.name), join(folder, 'files', 'file'));
    temporary.forget();
    assert.deepEqual(await nextAgent(), []);
    assert.deepEqual(await readdir(join(folder, 'files')), ['file']);
  });

  it('of a directory that has gone is given up', async () => {
    await leave();
    await rm(join(folder, 'files'), { recursive: true });
    assert.equal((await nextAgent()).length, 1);
    assert.deepEqual(await nextAgent(), []);
  });

  it('is the only kind of name that is ever taken away', async () => {
    await writeFile(join(folder, 'files', 'file'), 'whole');
    await journal.ready();
    for (const name of ['file', '../files/file', '.berth-copy-', `.berth-copy-${'0'.repeat(23)}/`]) {
      assert.equal(isTemporaryName(name), false);
      journal.put(TEMPORARY_KIND, name, { containerId: '', directory: join(folder, 'files') });
    }
    await nextAgent();
    assert.deepEqual(await readdir(join(folder, 'files')), ['file']);
  });
});
