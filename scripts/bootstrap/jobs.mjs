// What each `npm run` job does once everything is set up: the build steps it needs and the commands it runs, in order.

/** @typedef {{needs: 'everything' | 'code', commands: string[][]}} Job */

const tests = 'scripts/run-tests.ts';
const check = ['scripts/check.ts'];

/** Arguments of the pinned Node for each job; what the user typed after `--` goes to the last command. */
export const JOBS = /** @type {Readonly<Record<string, Job>>} */ ({
  build: { needs: 'everything', commands: [] },
  check: { needs: 'code', commands: [check] },
  docs: { needs: 'code', commands: [['scripts/configuration-doc.ts'], ['scripts/api-reference.ts']] },
  start: { needs: 'everything', commands: [['client/demo.ts']] },
  test: { needs: 'everything', commands: [check, [tests]] },
  'test:long': { needs: 'everything', commands: [[tests, '--require', './test/support/long-run.ts']] },
  'bench:density': { needs: 'everything', commands: [['test/bench/density.ts']] },
  bench: { needs: 'everything', commands: [['test/bench/main.ts']] },
});
