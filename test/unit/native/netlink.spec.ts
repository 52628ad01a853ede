// Uevents in a network namespace of their own, where the only devices are the links made here. Needs root.
import assert from 'node:assert/strict';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, CAP_SYS_ADMIN, hasCapability, runNode, systemError } from './fixture.ts';

/** Sends to the kernel's group as whoever may administer the network can. */
const FORGE = `import socket, sys
s = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15)
s.bind((0, 0))
s.sendto(b"add@/devices/forged\\\\0ACTION=add\\\\0DEVPATH=/devices/forged\\\\0SUBSYSTEM=block\\\\0", (0, 1))`;

describe('native uevents', function () {
  this.timeout(60_000); // starts Nodes, slow on a busy machine

  before(function () {
    if (!hasCapability(CAP_SYS_ADMIN)) this.skip();
  });

  it('are what the kernel says of devices, and nothing that another process says', async () => {
    const script = `
      const { execFileSync } = await import('node:child_process');
      const fd = addon.ueventOpen();
      const told = [];
      const watch = addon.watchReadable(fd, () => {
        for (let message = addon.ueventReceive(fd); message; message = addon.ueventReceive(fd)) told.push(message.toString());
      });
      execFileSync('python3', ['-c', ${JSON.stringify(FORGE)}]);
      execFileSync('ip', ['link', 'add', 'probe0', 'type', 'veth', 'peer', 'name', 'probe1']);
      while (!told.some((text) => text.startsWith('add@/devices/virtual/net/probe0\\0'))) await new Promise(setImmediate);
      process.stdout.write(JSON.stringify(told));
      watch.close();
      addon.close(fd);`;
    const told = JSON.parse((await runNode(script, 'unshare --net')).stdout) as string[];
    const link = told.find((text) => text.startsWith('add@/devices/virtual/net/probe0\0'));
    assert.match(link ?? '', /\0SUBSYSTEM=net\0/);
    assert.deepEqual(
      told.filter((text) => text.includes('forged')),
      [],
    );
  });

  it('that were lost are told, once, and what comes then is heard', async () => {
    const script = `
      const { execFileSync } = await import('node:child_process');
      const fd = addon.ueventOpen();
const commands = Array.from({ length: 150 }, (_, i) => 'link add d' + i + ' type veth peer name p' + i + '\\nlink del d' + i + '\\n');
      execFileSync('ip', ['-batch', '-'], { input: commands.join('') });
      let lost = 0, heard = 0;
      for (;;) {
        try {
          if (addon.ueventReceive(fd) === undefined) break;
          heard++;
        } catch (error) {
          if (error.code !== 'ENOBUFS') throw error;
          lost++;
        }
      }
      process.stdout.write(lost + ' ' + (heard > 10));
      addon.close(fd);`;
    assert.equal((await runNode(script, 'unshare --net')).stdout, '1 true');
  });

  it('come through a descriptor that is closed again, and that nobody inherits', async () => {
    await assertNoFdLeak(8, () => {
      const fd = native().ueventOpen();
      assert.equal(native().ueventReceive(fd), undefined);
      native().close(fd);
    });
    const script = `
      const fd = addon.ueventOpen();
      const { readFileSync } = await import('node:fs');
      process.stdout.write(/flags:\\s+0?2\\d{6}/.test(readFileSync('/proc/self/fdinfo/' + fd, 'utf8')) ? 'close-on-exec' : 'inherited');`;
    assert.equal((await runNode(script)).stdout, 'close-on-exec');
  });

  it('are of an open socket only', () => {
    assert.throws(() => native().ueventReceive(1 << 20), systemError('EBADF', 'recvfrom'));
    assert.throws(() => native().ueventReceive('3' as never), { name: 'TypeError', message: /"fd"/ });
  });
});
