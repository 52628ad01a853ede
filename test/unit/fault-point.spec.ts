import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FAULT_CASES } from '../support/fault-cases.ts';

const AGENT = join(import.meta.dirname, '../../agent');

describe('a point at which tests let the agent die', () => {
  it('is one that the guest is tried at, each of them', async () => {
    const labels = new Set<string>();
    for (const name of await readdir(AGENT, { recursive: true }))
      if (name.endsWith('.ts'))
        for (const [, label] of (await readFile(join(AGENT, name), 'utf8')).matchAll(/faultPoint\('([^']+)'\)/g))
          labels.add(label!);
    assert.deepEqual([...new Set(FAULT_CASES.map(({ label }) => label))].sort(), [...labels].sort());
  });

  it('kills when the file says its label, and takes the file away', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-fault-'));
    const file = join(folder, 'label');
    const run = (label: string) =>
      spawnSync(
        process.execPath,
        ['-e', `import(${JSON.stringify(join(AGENT, 'fault-point.ts'))}).then((it) => it.faultPoint('${label}'))`],
        {
          env: { BERTH_FAULT_POINT_FILE: file },
        },
      ).signal;
    try {
      assert.equal(run('here'), null);
      await writeFile(file, 'here');
      assert.equal(run('there'), null);
      assert.equal(run('here'), 'SIGKILL');
      assert.deepEqual(await readdir(folder), []);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
