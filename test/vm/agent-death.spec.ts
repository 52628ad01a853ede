// The agent is killed on a booted guest while containers and their processes run: its clients see a pause.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../client/api/guest.ts';
import { createContainer } from '../../client/container.ts';
import { GuestProcess } from '../../client/guest-process.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';

/** Kills the agent that runs now. */
const KILL_AGENT = `for pid in $(cat /proc/1/task/1/children); do [ "$(cat /proc/$pid/comm)" = kata-agent ] && kill -9 $pid; done`;

describe('the death of the agent', function () {
  this.timeout(120_000);
  let booted: TestGuest;

  before(async () => {
    booted = await sharedGuest();
  });

  async function killAgent(): Promise<void> {
    await using guest = await connect(booted.guest.address, { name: 'killer' });
    const { generation } = guest.hello;
    const killer = await guest.run(['sh', '-c', KILL_AGENT], { lifetime: 'keep' });
    assert.equal((await killer.wait()).kind, 'exited');
    assert.equal((await guest.info()).generation, generation + 1);
    await killer.forget();
  }

  it("leaves a container and what was started in it to whoever comes next by Kata's calls", async () => {
    const before = await booted.connect('ttrpc');
    const container = await createContainer(before.kata, {
      args: ['sh', '-c', 'echo up; exec sleep 600'],
      rootfs: booted.busybox,
    });
    await container.start();
    const exec = await container.exec({ args: ['sh', '-c', 'echo one; sleep 5; echo two; echo err >&2; exit 7'] });
    await sleep(300);
    await killAgent();
    await using client = await booted.connect('ttrpc');
    const process = new GuestProcess(client.kata, exec.address, false);
    const { stdout, stderr, exitCode } = await process.collect();
    assert.deepEqual([stdout.toString(), stderr.toString(), exitCode], ['one\ntwo\n', 'err\n', 7]);
    const again = await client.kata.readStdout({ containerId: container.id, execId: '', len: 100 });
    assert.equal(Buffer.from(again.data).toString(), 'up\n');
    const [seen] = (await client.containers()).filter(({ id }) => id === container.id);
    assert.equal(seen?.state, 'running');
    await client.kata.removeContainer({ containerId: container.id });
  });
});
