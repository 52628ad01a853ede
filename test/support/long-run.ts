// Required by `npm run test:long`: tests that run a smaller count in `npm test` run their full one.
process.env['BERTH_TEST_LONG'] = '1';
