// What each `npm run` job does once everything is set up: the build steps it needs and the commands it runs, in order.

/** @typedef {{needs: 'everything' | 'code', commands: string[][]}} Job */

const mocha = ['node_modules/mocha/bin/mocha.js'];
const check = [
  ['node_modules/typescript/bin/tsc', '-p', '.'],
  ['node_modules/@biomejs/biome/bin/biome', 'check', '.'],
];

/** Arguments of the pinned Node for each job; what the user typed after `--` goes to the last command. */
export const JOBS = /** @type {Readonly<Record<string, Job>>} */ ({
  build: { needs: 'everything', commands: [] },
  check: { needs: 'code', commands: check },
  start: { needs: 'everything', commands: [['scripts/start.ts']] },
  test: { needs: 'everything', commands: [...check, mocha] },
  'test:long': { needs: 'everything', commands: [[...mocha, '--config', '.mocharc.long.json']] },
  bench: { needs: 'everything', commands: [['test/bench/bench.ts']] },
});
