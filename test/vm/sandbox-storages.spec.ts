// The sandbox's own storages and namespaces: set up, shared by containers, and taken down again, also half-way.
import assert from 'node:assert/strict';
import type { grpc } from '#proto/kata.js';
import { hasCode } from '../../agent/errors.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { BOOT_TIMEOUT_MS, sharedGuest, type TestGuest } from '../support/guest.ts';
import { guestResources, runInGuest } from '../support/guest-resources.ts';
import { startPodContainer } from '../support/pod-container.ts';

const SHM = '/run/kata-containers/sandbox/shm';
const shm = (size: number): grpc.IStorage => ({
  driver: 'ephemeral',
  source: 'shm',
  fstype: 'tmpfs',
  options: ['noexec', 'nosuid', 'nodev', 'mode=1777', `size=${size}`],
  mountPoint: SHM,
});

describe('the sandbox of a booted guest', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let guest: TestGuest;
  let client: AgentClient;

  before(async () => {
    guest = await sharedGuest();
    client = await guest.connect('ttrpc');
  });
  after(async () => {
    await client?.kata.createSandbox({ sandboxId: 'test', hostname: guest.hostname });
    await client?.close();
  });
  const inGuest = async (script: string) => (await runInGuest(client, ['sh', '-c', script])).trim();

  it('has shared memory of its size, a name and name servers, which its containers share', async () => {
    const before = await inGuest('cat /etc/resolv.conf');
    await client.kata.createSandbox({
      sandboxId: 'pod',
      hostname: 'a-pod',
      dns: [' nameserver 192.0.2.1 ', 'search example.org'],
      storages: [shm(2_097_152)],
    });
    assert.equal(await inGuest('cat /etc/resolv.conf'), 'nameserver 192.0.2.1\nsearch example.org');
    const one = await startPodContainer(client, 'sand-one', { binds: { '/memory': SHM } });
    const two = await startPodContainer(client, 'sand-two', { binds: { '/memory': SHM }, storages: [shm(2_097_152)] });
    assert.equal(await one.shell('hostname; df -k /memory | tail -1 | awk "{print \\$2}"; echo x > /memory/x'), 'a-pod\n2048');
    assert.equal(await two.shell('hostname; cat /memory/x; stat -c %a /memory'), 'a-pod\nx\n1777');
    await two.remove();
    assert.equal(await one.shell('cat /memory/x'), 'x');
    await one.remove();
    assert.equal(await inGuest(`grep -c ' ${SHM} ' /proc/1/mountinfo`), '1');
    await client.kata.createSandbox({ sandboxId: 'pod' });
    assert.equal(await inGuest(`grep -c ' ${SHM} ' /proc/1/mountinfo || true; cat /etc/resolv.conf`), `0\n${before}`.trim());
  });

  it('leaves nothing mounted when one of its storages fails', async () => {
    await client.kata.createSandbox({ sandboxId: 'pod' });
    await guestResources(guest);
    const before = await inGuest('cut -d" " -f5- /proc/1/mountinfo | grep -v sandbox-ns | sort');
    const missing = { driver: 'blk', source: '1f/1f', fstype: 'ext4', mountPoint: '/run/kata-containers/sandbox/none' };
    await assert.rejects(
      client.kata.createSandbox({
        sandboxId: 'pod',
        hostname: 'x',
        dns: ['nameserver 192.0.2.9'],
        storages: [shm(MIB), missing],
      }),
      (error) => hasCode(error, 'deadline_exceeded'),
    );
    assert.equal(await inGuest('cut -d" " -f5- /proc/1/mountinfo | sort'), before);
    await client.kata.createSandbox({ sandboxId: 'pod', storages: [shm(MIB)] });
    assert.equal(await inGuest(`grep -c ' ${SHM} ' /proc/1/mountinfo`), '1');
  });

  it('gives the pid namespace of the first container to those that ask, and says so when it is gone', async () => {
    const first = await startPodContainer(client, 'pid-first', { sandboxPidns: true });
    const second = await startPodContainer(client, 'pid-second', { sandboxPidns: true });
    const namespace = 'readlink /proc/1/ns/pid';
    assert.equal(await first.shell(namespace), await second.shell(namespace));
    await first.remove();
    await assert.rejects(
      startPodContainer(client, 'pid-late', { sandboxPidns: true }),
      (error) => hasCode(error, 'internal') && /Sandbox does not have sandbox_pidns/.test(error.message),
    );
    const alone = await startPodContainer(client, 'pid-alone');
    assert.match(await alone.shell(namespace), /^pid:/);
    await alone.remove();
    await second.remove();
  });
});

const MIB = 1024 * 1024;
