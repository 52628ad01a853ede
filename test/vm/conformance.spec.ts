// The conformance table on a booted guest, over both protocols (test/conformance). A case that ends the agent has a guest of its own.
import type { ConformanceCase } from '../conformance/case.ts';
import { type Result, reportOf } from '../conformance/runner/report.ts';
import { runCase } from '../conformance/runner/run-case.ts';
import { Session } from '../conformance/runner/session.ts';
import { CASES } from '../conformance/table.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, sharedGuest } from '../support/guest.ts';

const CASE_LIMIT_MS = 60_000;
const results: Result[] = [];

for (const protocol of ['ttrpc', 'grpc'] as const) {
  const mine = CASES.filter(({ protocols }) => protocols?.includes(protocol) ?? true);

  /** Notes how it went, for the table at the end. */
  const noted = async ({ id, rpc, kind }: ConformanceCase, run: () => Promise<void>) => {
    try {
      await run();
      results.push({ id, rpc, kind, protocol, outcome: 'held' });
    } catch (error) {
      results.push({ id, rpc, kind, protocol, outcome: 'failed' });
      throw error;
    }
  };

  describe(`the conformance table over ${protocol}`, function () {
    this.timeout(CASE_LIMIT_MS);
    let session: Session;

    before(async function () {
      this.timeout(BOOT_TIMEOUT_MS);
      session = new Session({ address: (await sharedGuest()).guest.address, protocol });
    });
    after(async () => {
      await session?.[Symbol.asyncDispose]();
    });

    for (const each of mine.filter(({ ends }) => !ends)) {
      it(`holds in ${each.id}`, () => noted(each, () => runCase(session, each)));
    }

    for (const each of mine.filter(({ ends }) => ends)) {
      it(`holds in ${each.id}, on a guest of its own`, async function () {
        this.timeout(BOOT_TIMEOUT_MS + CASE_LIMIT_MS);
        await using own = await bootTestGuest();
        await noted(each, () => runCase(new Session({ address: own.guest.address, protocol }), each));
      });
    }
  });
}

after(() => {
  if (results.length > 0) console.log(reportOf(results));
});
