import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { readSources } from '../../scripts/architecture/files.ts';
import { checkArchitecture } from '../../scripts/architecture/rules.ts';

describe('the architecture', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

  it('holds in every source file: arrows, no rings, reserved imports, lengths, names, no blocking call', async () => {
    const files = await readSources(root);
    for (const part of ['agent/errors.ts', 'client/', 'native/index.ts', 'native/init/', 'scripts/', 'test/']) {
      assert.ok(
        files.some(({ path }) => path.startsWith(part)),
        `nothing was read from ${part}`,
      );
    }
    const found = checkArchitecture(files).map(({ path, line, rule, text }) => `${path}:${line ?? 1} [${rule}] ${text}`);
    assert.deepEqual(found, []);
  });
});
