// What each `npm run` job does once everything is set up: the build steps it needs and the commands it runs, in order.

/** @typedef {{needs: 'everything' | 'code', commands: string[][]}} Job */

const mocha = ['node_modules/mocha/bin/mocha.js'];
const specs = ['unit', 'protocol', 'vm'].flatMap((kind) => ['--spec', `test/${kind}/**/*.spec.ts`]);
const check = ['scripts/check.ts'];

/** Arguments of the pinned Node for each job; what the user typed after `--` goes to the last command. */
export const JOBS = /** @type {Readonly<Record<string, Job>>} */ ({
  build: { needs: 'everything', commands: [] },
  check: { needs: 'code', commands: [check] },
  start: { needs: 'everything', commands: [['client/demo.ts']] },
  test: { needs: 'everything', commands: [check, [...mocha, ...specs]] },
  'test:long': { needs: 'everything', commands: [[...mocha, ...specs, '--spec', 'test/**/*.long.ts']] },
  bench: { needs: 'everything', commands: [['test/bench/main.ts']] },
});
