// The agent is replaced by a bundle of its own while processes of the guest run. The real agent on this machine, under berth-init.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Guest } from '../../client/api/guest.ts';
import type { Link } from '../../client/api/link.ts';
import { AGENT as METHODS } from '../../client/api/methods.ts';
import { packBundle } from '../../client/api/upgrade.ts';
import { AGENT } from '../../scripts/build/paths.ts';
import { buildAgent } from '../../scripts/build-agent.ts';
import { berth } from '../support/berth-cli.ts';
import { type NativeTestAgent, startNativeAgent } from '../support/native-agent.ts';

const LINES = 600;
/** Counts for some seconds, and ends with 3. */
const COUNT = ['sh', '-c', `i=0; while [ $i -lt ${LINES} ]; do echo "line $i"; i=$((i+1)); sleep 0.005; done; exit 3`];
const COUNTED = Array.from({ length: LINES }, (_, i) => `line ${i}\n`).join('');

describe('an agent that is replaced', function () {
  this.timeout(120_000);
  let agent: NativeTestAgent;
  let guest: Guest;
  let folder: string;

  before(() => buildAgent());
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-upgrade-'));
    // Info tells its version, and this machine need not have it.
    const crun = join(folder, 'crun');
    await writeFile(crun, '#!/bin/sh\necho crun version 0\n', { mode: 0o755 });
    agent = await startNativeAgent({ BERTH_CRUN: crun }, { restart: true });
    guest = await connect(agent.address, { name: 'upgrader' });
  });
  afterEach(async () => {
    await guest.close();
    await agent[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  it('leaves every process, byte and exit to the next one, and that to the one after it', async () => {
    const process = await guest.run(COUNT, { lifetime: 'keep' });
    const output = process.stdout.text();
    const first = await guest.upgrade(AGENT);
    assert.deepEqual([first.from.generation, first.to.generation], [1, 2]);
    const done = await berth(['agent', 'upgrade', '--json', '--address', agent.address]);
    assert.deepEqual([done.status, done.stderr], [0, '']);
    const second = JSON.parse(done.stdout) as typeof first;
    assert.deepEqual([second.from.generation, second.to.generation], [2, 3]);
    console.log(`      nobody answered for ${Math.round(first.silentMs)} ms, then for ${Math.round(second.silentMs)} ms`);
    assert.equal(digest(await output), digest(COUNTED));
    const ending = await process.wait();
    assert.deepEqual([ending.kind === 'exited' && ending.code], [3]);
    const { bundle, agentCommit, degraded, generation } = await guest.info();
    assert.deepEqual([bundle, agentCommit, degraded, generation], [digest(await packBundle(AGENT)), second.to.commit, '', 3]);
    const [upgraded, again] = await eventsOf('agent.upgraded');
    assert.deepEqual([upgraded?.['from-commit'], upgraded?.['commit']], [first.from.commit, first.to.commit]);
    assert.equal(again?.['bundle'], bundle);
    // What is not run any more went with the second.
    assert.deepEqual((await readdir(join(agent.stateDir, 'agents'))).sort(), ['g1', 'g2']);
  });

  it('by one that does not come up is back as it was, and says so', async () => {
    const process = await guest.run(COUNT, { lifetime: 'keep' });
    const output = process.stdout.text();
    const broken = await bundleWith({ 'main.js': 'process.exit(1);' });
    await assert.rejects(guest.upgrade(broken), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'aborted');
      assert.match(error.message, /came to nothing: that of the guest's image runs now/);
      return true;
    });
    assert.equal(digest(await output), digest(COUNTED));
    const ending = await process.wait();
    assert.deepEqual([ending.kind === 'exited' && ending.code], [3]);
    const { bundle, degraded, generation } = await guest.info();
    assert.deepEqual([bundle, degraded, generation], ['', '', 4]);
    const [failed] = await eventsOf('agent.upgrade_failed');
    assert.equal(failed?.['bundle'], digest(await packBundle(broken)));
    assert.deepEqual(await eventsOf('agent.upgraded'), []);
  });

  it('stays when the other one could not read its journal, or does not fit otherwise, and says what', async () => {
    for (const [more, said] of [
      [{ journal: 0 }, /reads journals up to schema 0, and the one of this guest has \d+: all that runs would be lost/],
      [{ keeper: 99 }, /speaks version 99 to berth-init/],
      [{ node: 20 }, /is built for Node 20/],
      [{ addon: ['teleport'] }, /the addon of this guest does not have: teleport/],
    ] as const) {
      const manifest = JSON.parse(await readFile(join(AGENT, 'package.json'), 'utf8'));
      const text = JSON.stringify({ ...manifest, berth: { ...manifest.berth, ...more } });
      await assert.rejects(guest.upgrade(await bundleWith({ 'package.json': text })), {
        code: 'failed_precondition',
        message: said,
      });
    }
    await isAsBefore();
  });

  it('stays when what comes in is not what was announced, or is no bundle', async () => {
    const good = await packBundle(AGENT);
    const sha256 = createHash('sha256').update(good).digest();
    const size = good.length;
    await assert.rejects(offer({ size, sha256: Buffer.alloc(32) }, good), { code: 'data_loss' });
    await assert.rejects(offer({ size: size + 1, sha256 }, good), { code: 'data_loss' });
    await assert.rejects(offer({ size: size - 1, sha256 }, good), { code: 'invalid_argument', message: /announced/ });
    await assert.rejects(offer({ size: 33 * 1024 * 1024, sha256 }, good), { code: 'invalid_argument', message: /^size/ });
    await assert.rejects(offer({ size, sha256: Buffer.alloc(3) }, good), { code: 'invalid_argument', message: /sha256/ });
    for (const name of ['../main.js', '/main.js', 'chunks/../main.js', 'berth.node', 'origin.json', 'chunks/a/b.js']) {
      const renamed = await packWith(name);
      const announced = { size: renamed.length, sha256: createHash('sha256').update(renamed).digest() };
      await assert.rejects(offer(announced, renamed), { code: 'invalid_argument', message: /is no part of a bundle/ }, name);
    }
    await assert.rejects(offer({ size: 4, sha256: createHash('sha256').update('abcd').digest() }, Buffer.from('abcd')), {
      code: 'invalid_argument',
    });
    await isAsBefore();
  });

  async function isAsBefore(): Promise<void> {
    assert.deepEqual(await readdir(join(agent.stateDir, 'agents')), []);
    const { generation, bundle } = await guest.info();
    assert.deepEqual([generation, bundle], [1, '']);
    // A refusal is not the last word.
    assert.equal((await guest.upgrade(AGENT)).to.generation, 2);
  }

  async function bundleWith(files: Readonly<Record<string, string>>): Promise<string> {
    const directory = await mkdtemp(join(folder, 'b-'));
    await cp(AGENT, directory, { recursive: true });
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
    return directory;
  }

  /** The bundle with a first member of that name. */
  async function packWith(name: string): Promise<Buffer> {
    const { tarHeader } = await import('../../agent/guest/files/tar/write-header.ts');
    const entry = { type: 'file', size: 0, mode: 0o644, uid: 0, gid: 0, modified: 0, linkName: Buffer.alloc(0) } as const;
    return Buffer.concat([tarHeader({ ...entry, name: Buffer.from(name) }), await packBundle(AGENT)]);
  }

  async function offer({ size, sha256 }: { size: number; sha256: Buffer }, archive: Buffer): Promise<void> {
    const stream = await (guest as unknown as { link: Link }).link.stream(METHODS.upgrade);
    const answers = (async () => {
      for await (const _ of stream);
    })();
    answers.catch(() => {});
    try {
      await stream.send({ begin: { size: BigInt(size), sha256 } });
      await stream.send({ data: archive });
      stream.end();
    } catch {
      // The answer says why.
    }
    await answers;
  }

  async function eventsOf(wanted: string): Promise<Readonly<Record<string, string>>[]> {
    const found: Readonly<Record<string, string>>[] = [];
    for await (const { kind, fields } of guest.events({ after: 'start', replayOnly: true }))
      if (kind === wanted) found.push(fields);
    return found;
  }
});

function digest(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
