// The conformance table on booted guests, over both protocols (test/conformance). A case that ends its agent has the guest to itself
// from then on; the next one boots another.
import assert from 'node:assert/strict';
import type { ConformanceCase, Protocol } from '../conformance/case.ts';
import { type Result, reportOf } from '../conformance/runner/report.ts';
import { runCase } from '../conformance/runner/run-case.ts';
import { Session } from '../conformance/runner/session.ts';
import { CASES } from '../conformance/table.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';

/** Every case over both protocols; otherwise the cases of each RPC and kind take turns, one over ttrpc and the next over gRPC. */
const LONG = process.env['BERTH_TEST_LONG'] !== undefined;
/** Of one RPC and kind outside the long run; only the specs of CreateContainer have more. */
const MOST_ALIKE = 20;
const CASE_LIMIT_MS = 60_000;
/** Of hundreds of containers; what is opened once for good is less. */
const MORE_FDS = 8;

describe('the conformance table', function () {
  this.timeout(BOOT_TIMEOUT_MS + CASE_LIMIT_MS);
  const results: Result[] = [];
  let guest: TestGuest | undefined;
  let session: Session | undefined;

  async function sessionOver(protocol: Protocol): Promise<Session> {
    // Cases bring a second processor on line and bind to it, and name disks by their place on the PCI bus.
    guest ??= await bootTestGuest({ cpus: 2, machine: 'q35' });
    if (session?.protocol !== protocol) await session?.[Symbol.asyncDispose]();
    else return session;
    session = new Session({ address: guest.guest.address, protocol });
    return session;
  }

  after(async () => {
    await done();
    if (results.length > 0) console.log(reportOf(results));
  });

  for (const protocol of ['ttrpc', 'grpc'] as const) {
    const mine = CASES.filter((each) => over(each).includes(protocol));
    for (const each of mine.filter(({ ends }) => !ends)) holds(protocol, each);

    it(`leaves the agent with no more fds over ${protocol}, all cases together`, async () => {
      const growth = await (await sessionOver(protocol)).fdGrowth();
      assert.ok(growth <= MORE_FDS, `${growth} more`);
    });

    for (const each of mine.filter(({ ends }) => ends)) holds(protocol, each);
  }

  function holds(protocol: Protocol, each: ConformanceCase): void {
    it(`holds over ${protocol} in ${each.id}`, async () => {
      const { id, rpc, kind } = each;
      const note = (outcome: Result['outcome']) => void results.push({ id, rpc, kind, protocol, outcome });
      try {
        await runCase(await sessionOver(protocol), each);
        note('held');
      } catch (error) {
        note('failed');
        throw error;
      } finally {
        if (each.ends) await done();
      }
    });
  }

  /** The guest is gone, or has to be. */
  async function done(): Promise<void> {
    await session?.abandon();
    session = undefined;
    await guest?.[Symbol.asyncDispose]();
    guest = undefined;
  }
});

function over(each: ConformanceCase): readonly Protocol[] {
  const { protocols = ['ttrpc', 'grpc'], rpc, kind } = each;
  if (LONG || protocols.length === 1) return protocols;
  const alike = CASES.filter((other) => other.rpc === rpc && other.kind === kind);
  // Of many, as many as may be and evenly spread.
  const place = (at: number) => Math.floor((at * MOST_ALIKE) / Math.max(alike.length, MOST_ALIKE));
  const at = alike.indexOf(each);
  return at > 0 && place(at) === place(at - 1) ? [] : [protocols[place(at) % protocols.length]!];
}
