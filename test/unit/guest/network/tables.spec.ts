// The packet filter of a network namespace of this machine, by its own tools.
import assert from 'node:assert/strict';
import { AgentError, hasCode } from '../../../../agent/errors.ts';
import { restoreTables, saveTables } from '../../../../agent/guest/network/tables.ts';
import { type NetNamespace, openNetNamespace } from '../../../support/net-namespace.ts';

const rules = (...lines: string[]) => Buffer.from(['*filter', ':INPUT ACCEPT [0:0]', ...lines, 'COMMIT', ''].join('\n'));

describe("a guest's packet filter", function () {
  this.timeout(60_000);
  let space: NetNamespace;
  const saved = async (family: 4 | 6) => Buffer.from(await saveTables(family, space.run)).toString();

  before(async () => {
    space = await openNetNamespace();
  });
  after(() => space?.[Symbol.asyncDispose]());

  it('takes rules and gives them back, each family its own', async () => {
    await restoreTables(4, rules('-A INPUT -s 192.0.2.1/32 -j DROP'), space.run);
    await restoreTables(6, rules('-A INPUT -s 2001:db8::1/128 -j DROP'), space.run);
    const [four, six] = [await saved(4), await saved(6)];
    assert.match(four, /^-A INPUT -s 192\.0\.2\.1\/32 -j DROP$/m);
    assert.match(six, /^-A INPUT -s 2001:db8::1\/128 -j DROP$/m);
    assert.ok(!six.includes('192.0.2.1') && !four.includes('2001:db8'));
    assert.ok(four.endsWith('\n'), 'the last newline is there');
  });

  it('gives back what it can take again', async () => {
    const before = await saved(4);
    await restoreTables(4, Buffer.from(before), space.run);
    const plain = (text: string) => text.replace(/^#.*$/gm, '');
    assert.equal(plain(await saved(4)), plain(before));
  });

  it('keeps all of a table when one of its new rules is bad, and says which line', async () => {
    await assert.rejects(
      restoreTables(4, rules('-A INPUT -s 192.0.2.7/32 -j DROP', '-A NOWHERE -j DROP'), space.run),
      (error) => hasCode(error, 'internal') && /line 4 failed|line 4: CHAIN|line: 4|NOWHERE/i.test(error.message),
    );
    const now = await saved(4);
    assert.match(now, /192\.0\.2\.1/);
    assert.ok(!now.includes('192.0.2.7'));
  });

  it('is not changed by no rules at all', async () => {
    const before = await saved(4);
    await restoreTables(4, new Uint8Array(), space.run);
    assert.match(await saved(4), /192\.0\.2\.1/);
    assert.ok(before.includes('192.0.2.1'));
  });

  it('asks each family of the tool that knows it, and never waits long for the lock', async () => {
    const calls: [string, readonly string[], number][] = [];
    const run = async (file: string, args: readonly string[], { timeoutMs }: { timeoutMs: number }) => {
      calls.push([file, args, timeoutMs]);
      return { stdout: '', stderr: '' };
    };
    for (const family of [4, 6] as const) {
      await saveTables(family, run);
      await restoreTables(family, rules(), run);
    }
    assert.deepEqual(calls, [
      ['iptables-save', [], 5000],
      ['iptables-restore', ['--wait', '5'], 10_000],
      ['ip6tables-save', [], 5000],
      ['ip6tables-restore', ['--wait', '5'], 10_000],
    ]);
  });

  it('says so when the guest has no such tool', async () => {
    const run = () => Promise.reject(new AgentError('not_found', 'the program `iptables-save` is not there'));
    await assert.rejects(saveTables(4, run), /iptables-save/);
  });
});
