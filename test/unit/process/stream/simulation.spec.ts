// The core of streams under seeded fault schedules. A failure names its seed; BERTH_SEED=<seed> runs just that one.
import { Budget } from '../../../../agent/process/stream/budget.ts';
import { OutputLog } from '../../../../agent/process/stream/output-log.ts';
import { PulledOutput } from '../../../../agent/process/stream/pulled-output.ts';
import { StdinLog } from '../../../../agent/process/stream/stdin-log.ts';
import type { Core } from './schedule.ts';
import { simulateDrain, simulateOutput } from './simulation.ts';
import { simulateStdin } from './stdin-simulation.ts';

const core: Core = { Budget, OutputLog, PulledOutput, StdinLog };
const runs = process.env['BERTH_TEST_LONG'] ? 20_000 : 400;
const chosen = process.env['BERTH_SEED'];
const seeds = chosen === undefined ? Array.from({ length: runs }, (_, at) => at + 1) : [Number(chosen)];

describe('streams under any schedule', function () {
  this.timeout('10m');

  it('lose nothing, give nothing twice, stay bounded and come to their end', () => {
    for (const seed of seeds) simulateOutput(core, seed);
  });

  it('tell the end of output one drain limit after the last of it, and give what comes later', () => {
    for (const seed of seeds) simulateDrain(core, seed);
  });

  it('give a process its input exactly once over replies that get lost', async () => {
    for (const seed of seeds.slice(0, runs / 4)) await simulateStdin(core, seed);
  });
});
