import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentEntries, readEnvironmentFile } from '../../../../client/cli/environment.ts';

describe('environment options', () => {
  it('take values as they are, and ours for a bare name that is set', () => {
    assert.deepEqual(environmentEntries(['A=b=c ', 'HOME', 'UNSET', 'EMPTY='], { HOME: '/h' }), ['A=b=c ', 'HOME=/h', 'EMPTY=']);
  });

  for (const entry of ['', '=x']) {
    it(`refuse '${entry}'`, () =>
      assert.throws(() => environmentEntries([entry], {}), { code: 'invalid_argument', fields: { field: 'env' } }));
  }

  it('come from a file, a line each, without comments', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-env-'));
    try {
      await writeFile(join(folder, 'env'), '# no\nA=1\r\n\n  B="2"\nHOME\n');
      assert.deepEqual(await readEnvironmentFile(join(folder, 'env'), { HOME: '/h' }), ['A=1', 'B="2"', 'HOME=/h']);
      await assert.rejects(readEnvironmentFile(join(folder, 'none'), {}), { code: 'not_found', message: /--env-file/ });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
