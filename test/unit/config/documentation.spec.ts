import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { settings } from '../../../agent/config/settings.ts';
import { readSources } from '../../../scripts/architecture/files.ts';
import { DOCUMENT, renderConfiguration } from '../../../scripts/configuration-doc.ts';

describe('docs/configuration.md', () => {
  it('is what the table of settings says; else run node scripts/configuration-doc.ts', async () => {
    assert.equal(await readFile(DOCUMENT, 'utf8'), renderConfiguration());
  });

  it('says of exactly the settings that no part of the agent reads why they do nothing', async () => {
    const root = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
    const sources = (await readSources(root)).filter(({ path }) => /^agent\/(?!config\/)/.test(path));
    const unread = settings.filter(([name]) => !sources.some(({ text }) => new RegExp(`\\b${name}\\b`).test(text)));
    assert.deepEqual(
      settings.filter(([, { unused, met }]) => unused !== undefined || met).map(([name]) => name),
      unread.map(([name]) => name),
    );
  });
});
