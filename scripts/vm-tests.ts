// Runs the tests of test/vm: as many runs of mocha beside each other as there are processors, two at most, because an emulated guest
// keeps one busy. What is given on the command line goes to each mocha; BERTH_TEST_LANES asks for another number.
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { planRuns } from './test-lanes/jobs.ts';
import { failuresOf, type RunningTest, type RunResult, startRun } from './test-lanes/lane.ts';

const ROOT = path.dirname(import.meta.dirname);
const FOLDER = 'test/vm';
const MOCHA = ['node_modules/mocha/bin/mocha.js', '--config', 'test/vm/.mocharc.json', ...process.argv.slice(2)];

const lanes = Number(process.env['BERTH_TEST_LANES'] ?? Math.min(2, availableParallelism()));
if (!Number.isInteger(lanes) || lanes < 1)
  throw new Error(`BERTH_TEST_LANES is ${process.env['BERTH_TEST_LANES']}, not a number of lanes`);
const queue = planRuns(readdirSync(path.join(ROOT, FOLDER)).filter((name) => name.endsWith('.spec.ts')));
const running = new Set<RunningTest>();
const results: RunResult[] = [];

async function lane(): Promise<void> {
  for (let names = queue.shift(); names !== undefined; names = queue.shift()) {
    const files = names.map((name) => path.join(FOLDER, name));
    const run = startRun(names.join(' '), [...MOCHA, ...files], ROOT);
    running.add(run);
    console.log(`=== begins: ${run.title}`);
    const result = await run.done;
    running.delete(run);
    results.push(result);
    process.stdout.write(
      `${result.output}=== ${result.passed ? 'passed' : 'FAILED'} after ${result.seconds} s: ${result.title}\n\n`,
    );
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const { title, output } of running) console.log(`${output()}=== stopped by ${signal}: ${title}`);
    process.kill(process.pid, signal);
  });
}
await Promise.all(Array.from({ length: lanes }, lane));
const failed = results.filter(({ passed }) => !passed);
for (const { title, output } of failed) console.log(`=== failures of ${title}\n${failuresOf(output)}`);
console.log(`${results.length - failed.length} of ${results.length} runs of guests' tests passed`);
if (failed.length > 0) process.exitCode = 1;
