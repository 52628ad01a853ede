// Runs all tests: as many runs of mocha beside each other as there are processors, two at most, because an emulated guest keeps one busy.
// What is given on the command line goes to each mocha; BERTH_TEST_LANES asks for another number.
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { planRuns } from './test-lanes/jobs.ts';
import { failuresOf, type RunningTest, type RunResult, startRun } from './test-lanes/lane.ts';

const ROOT = path.dirname(import.meta.dirname);
const GUESTS = 'test/vm';

const lanes = Number(process.env['BERTH_TEST_LANES'] ?? Math.min(2, availableParallelism()));
if (!Number.isInteger(lanes) || lanes < 1)
  throw new Error(`BERTH_TEST_LANES is ${process.env['BERTH_TEST_LANES']}, not a number of lanes`);
const guests = planRuns(readdirSync(path.join(ROOT, GUESTS)).filter((name) => name.endsWith('.spec.ts')));
const queue: { title: string; args: string[] }[] = [
  // They take longer than most, and need no guest.
  ...['unit', 'protocol'].map((kind) => ({ title: kind, args: mocha(kind) })),
  ...guests.map((names) => ({
    title: names.join(' '),
    args: mocha(
      'vm',
      names.map((name) => path.join(GUESTS, name)),
    ),
  })),
];
const running = new Set<RunningTest>();
const results: RunResult[] = [];

/** Each kind of test has settings of its own. */
function mocha(kind: string, files: readonly string[] = []): string[] {
  return ['node_modules/mocha/bin/mocha.js', '--config', `test/${kind}/.mocharc.json`, ...process.argv.slice(2), ...files];
}

async function lane(): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const run = startRun(next.title, next.args, ROOT);
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
console.log(`${results.length - failed.length} of ${results.length} runs of tests passed`);
if (failed.length > 0) process.exitCode = 1;
