// What a process wrote and is to read, over any number of agents that die. A failure names its seed; BERTH_SEED=<seed> runs just that one.
import assert from 'node:assert/strict';
import { adoptStdio } from '../../../../agent/process/adopt-stdio.ts';
import { prepareOwnTerminal, prepareStdio } from '../../../../agent/process/stdio.ts';
import { newStdioKey } from '../../../../agent/process/stdio-store.ts';
import { Budget } from '../../../../agent/process/stream/budget.ts';
import { ByteLog } from '../../../../agent/process/stream/byte-log.ts';
import { PulledOutput } from '../../../../agent/process/stream/pulled-output.ts';
import type { AdoptCore } from './adopt-model.ts';
import { simulateDeaths } from './adopt-simulation.ts';

const core: AdoptCore = { prepareStdio, prepareOwnTerminal, adoptStdio, newStdioKey, Budget, ByteLog, PulledOutput };
const runs = process.env['BERTH_TEST_LONG'] ? 5_000 : 120;
const chosen = process.env['BERTH_SEED'];
const seeds = chosen === undefined ? Array.from({ length: runs }, (_, at) => at + 1) : [Number(chosen)];

describe('streams whose agent is killed between any two calls into the kernel', function () {
  this.timeout('10m');

  it('lose nothing, give nothing twice, and keep every offset', async () => {
    let deaths = 0;
    for (const seed of seeds) deaths += await simulateDeaths(core, seed);
    assert.ok(deaths >= seeds.length, `agents died ${deaths} times`);
    console.log(`      ${seeds.length} schedules, ${deaths} deaths`);
  });
});
