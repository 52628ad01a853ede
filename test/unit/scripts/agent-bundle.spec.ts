import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AGENT, ROOT } from '../../../scripts/build/paths.ts';
import { buildAgent } from '../../../scripts/build-agent.ts';

describe('the bundle of the agent that is shipped', function () {
  this.timeout(60_000);

  it('has none of the points at which tests let the agent die', async () => {
    const labels = new Set<string>();
    for (const text of await textsOf(join(ROOT, 'agent'), '.ts'))
      for (const [, label] of text.matchAll(/faultPoint\('([^']+)'\)/g)) labels.add(label!);
    assert.ok(labels.size >= 10, `${labels.size} points in the sources`);
    await buildAgent();
    for (const text of await textsOf(AGENT, '.js'))
      for (const trace of [...labels, 'BERTH_FAULT_POINT']) assert.ok(!text.includes(trace), `${trace} is in the bundle`);
  });
});

async function textsOf(folder: string, extension: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return await Promise.all(names.filter((name) => name.endsWith(extension)).map((name) => readFile(join(folder, name), 'utf8')));
}
