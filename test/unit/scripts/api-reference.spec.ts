import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DIRECTORY, renderReference } from '../../../scripts/api-reference.ts';

describe('docs/api', () => {
  it('is what the doc comments and protos say; else run npm run docs', async () => {
    const pages = await renderReference();
    assert.deepEqual((await readdir(DIRECTORY)).sort(), Object.keys(pages).sort());
    for (const [name, text] of Object.entries(pages)) {
      assert.equal(await readFile(join(DIRECTORY, name), 'utf8'), text, `docs/api/${name} is stale: run npm run docs`);
    }
  });
});
