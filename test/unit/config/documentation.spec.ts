import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { DOCUMENT, renderConfiguration } from '../../../scripts/configuration-doc.ts';

describe('docs/configuration.md', () => {
  it('is what the table of settings says; else run node scripts/configuration-doc.ts', async () => {
    assert.equal(await readFile(DOCUMENT, 'utf8'), renderConfiguration());
  });
});
