// The table against any agent: `node test/conformance/main.ts --target vsock://3:1024 [--protocol ttrpc] [--only REGEX]`.
// Its guest needs what README.md lists. Ends with status 1 when a case does not hold.
import { parseArgs } from 'node:util';
import type { Protocol } from './case.ts';
import { type Result, reportOf } from './runner/report.ts';
import { runCase } from './runner/run-case.ts';
import { Session } from './runner/session.ts';
import { CASES } from './table.ts';

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    protocol: { type: 'string', multiple: true, default: ['ttrpc', 'grpc'] },
    only: { type: 'string', default: '' },
    'root-source': { type: 'string' },
    'root-fstype': { type: 'string' },
  },
});
const { target, only } = values;
if (target === undefined) throw new Error('--target names the agent: vsock://CID:PORT, hvsock://PATH:PORT or unix://PATH');
const root = { driver: 'blk', source: values['root-source'] ?? '/dev/vdb', fstype: values['root-fstype'] ?? 'erofs' };

const results: Result[] = [];
let ended = false;
const wanted = CASES.filter(({ id }) => new RegExp(only).test(id));
// What ends the agent comes last, and the second protocol finds nobody any more.
const ordered = [...wanted.filter(({ ends }) => !ends), ...wanted.filter(({ ends }) => ends)];
for (const ending of [false, true]) {
  for (const protocol of values.protocol as Protocol[]) {
    const session = new Session({ address: target, protocol, values: { root } });
    for (const each of ordered.filter(
      ({ ends = false, protocols }) => ends === ending && (protocols?.includes(protocol) ?? true),
    )) {
      const { id, rpc, kind } = each;
      if (ended) {
        results.push({ id, rpc, kind, protocol, outcome: 'not run', text: 'the case before it has ended the agent' });
        continue;
      }
      const text = await runCase(session, each).then(
        () => undefined,
        (error: unknown) => String(error),
      );
      ended ||= ending;
      results.push({
        id,
        rpc,
        kind,
        protocol,
        outcome: text === undefined ? 'held' : 'failed',
        ...(text === undefined ? {} : { text }),
      });
      process.stdout.write(text === undefined ? '.' : 'F');
    }
    if (!ended) console.log(`\nfds more than before over ${protocol}: ${await session.fdGrowth()}`);
    await (ended ? session.abandon() : session[Symbol.asyncDispose]());
  }
}
console.log(`\n${reportOf(results)}`);
process.exitCode = results.every(({ outcome }) => outcome === 'held') ? 0 : 1;
