import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { AGENT_VERSION } from '../../agent/version.ts';

describe("the agent's version", () => {
  it('is the one of the package', async () => {
    const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    assert.equal(AGENT_VERSION, manifest.version);
  });
});
