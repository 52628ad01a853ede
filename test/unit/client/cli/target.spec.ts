import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shareDirectory } from '../../../../client/cli/target.ts';
import { berth, PipedBerth } from '../../../support/berth-cli.ts';
import { type ServedSandbox, serveSandbox } from '../../../support/fake-sandbox.ts';

describe('the agent that berth talks to', () => {
  let agent: ServedSandbox;
  let state: string;
  let env: Record<string, string>;

  before(async () => {
    agent = await serveSandbox();
    state = await mkdtemp(join(tmpdir(), 'berth-state-'));
    env = { XDG_STATE_HOME: state };
  });

  after(async () => {
    await agent.close();
    await rm(state, { recursive: true });
  });

  it('is the one in BERTH_ADDRESS', async () => {
    assert.equal((await berth(['ps', '-q'], { env: { ...env, BERTH_ADDRESS: agent.address } })).status, 0);
  });

  it('is a VM named by --vm even then', async () => {
    const { stderr, status } = await berth(['ps', '--vm', 'mine'], { env: { ...env, BERTH_ADDRESS: agent.address } });
    assert.deepEqual(
      [status, stderr],
      [125, "berth: no VM named 'mine' is running; start it with `berth vm start --name mine`\n"],
    );
  });

  it('is the default VM, and the message says how to start it', async () => {
    const { stderr, status } = await berth(['ps'], { env });
    assert.deepEqual([status, stderr], [125, "berth: no VM named 'default' is running; start it with `berth vm start`\n"]);
  });

  it('cannot be two', async () => {
    const { stderr } = await berth(['ps', '--vm', 'a', '--address', agent.address], { env });
    assert.equal(stderr, 'berth: give --vm or --address, not both\n');
  });

  it('has an address that is understood, and is waited for as long as is said', async () => {
    assert.match((await berth(['ps', '--address', 'ftp://x'], { env })).stderr, /^berth: address "ftp:\/\/x": scheme: /);
    const { stderr } = await berth(['ps', '--address', agent.address], { env: { ...env, BERTH_PATIENCE: 'long' } });
    assert.equal(stderr, "berth: invalid BERTH_PATIENCE 'long': give seconds\n");
  });

  it('can be given up while it says nothing, without a word', async () => {
    const path = join(state, 'silent.sock');
    const taken = Promise.withResolvers<void>();
    const server = net.createServer(() => taken.resolve()).listen(path);
    try {
      const waiting = new PipedBerth(['run', '--address', `unix://${path}`, 'true'], { env });
      await taken.promise;
      waiting.child.kill('SIGINT');
      assert.deepEqual(await waiting.finished(), { stdout: '', stderr: '', status: 130 });
    } finally {
      server.close();
    }
  });

  it('knows a shared directory by its place in what the VM shares', () => {
    const share = '/srv/trees';
    assert.equal(shareDirectory('share:/srv/trees/a/b', { share }), 'share:a/b');
    assert.equal(shareDirectory('share:/srv/trees', { share }), 'share:');
    assert.equal(shareDirectory('share:a', { share }), 'share:a');
    assert.equal(shareDirectory('debian', { share }), 'debian');
    assert.equal(shareDirectory('share:/x', {}), 'share:/x');
    for (const outside of ['share:/etc', 'share:/srv/trees2', 'share:/srv']) {
      assert.throws(() => shareDirectory(outside, { share }), /is not in \/srv\/trees, which is what this VM shares/);
    }
  });
});
