// No byte lost, no hang: the streams of a container on a booted guest, over both protocols.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { createContainer, type KataContainer } from '../../client/kata/container.ts';
import { sharedGuest } from '../support/guest.ts';

const MIB = 1024 * 1024;

for (const protocol of ['ttrpc', 'grpc'] as const) {
  describe(`the streams of a container over ${protocol}`, () => {
    let client: AgentClient;
    let container: KataContainer;
    let bulk: number;

    before(async () => {
      const guest = await sharedGuest();
      // The device of the vhost-user way carries a tenth of what vhost-vsock does.
      bulk = (guest.guest.way === 'direct' ? 100 : 16) * MIB;
      client = await guest.connect(protocol);
      container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: guest.busybox });
      await container.start();
    });

    after(async () => {
      await container?.remove();
      await client?.close();
    });

    it('carry 128 KiB through cat and back', async () => {
      const sent = Buffer.alloc(128 * 1024, 'berth ');
      const cat = await container.exec({ args: ['cat'] });
      const [, { stdout, exitCode }] = await Promise.all([cat.stdin.write(sent).then(() => cat.stdin.end()), cat.collect()]);
      assert.ok(stdout.equals(sent));
      assert.equal(exitCode, 0);
    });

    it('carry every byte value unchanged, both ways', async () => {
      const sent = Buffer.from(Uint8Array.from({ length: 4096 }, (_, index) => index % 256));
      const cat = await container.exec({ args: ['cat'] });
      const [, { stdout }] = await Promise.all([cat.stdin.write(sent).then(() => cat.stdin.end()), cat.collect()]);
      assert.ok(stdout.equals(sent));
    });

    it('keep stdout and stderr apart', async () => {
      const process = await container.exec({ args: ['sh', '-c', 'echo out; echo err >&2; exit 7'] });
      const { stdout, stderr, exitCode } = await process.collect();
      assert.deepEqual([stdout.toString(), stderr.toString(), exitCode], ['out\n', 'err\n', 7]);
    });

    it('deliver a flood of stdout whole (100 MiB over vhost-vsock)', async () => {
      const process = await container.exec({ args: ['sh', '-c', `yes berth | head -c ${bulk}`] });
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const chunk of process.stdout) {
        hash.update(chunk);
        bytes += chunk.length;
      }
      assert.equal(bytes, bulk);
      const expected = createHash('sha256');
      const block = Buffer.from('berth\n'.repeat(MIB / 4));
      for (let left = bulk; left > 0; left -= block.length) expected.update(block.subarray(0, left));
      assert.equal(hash.digest('hex'), expected.digest('hex'));
      assert.equal(await process.wait(), 0);
    });

    it('deliver what a process wrote that ended before anyone read', async () => {
      const process = await container.exec({ args: ['sh', '-c', 'echo gone; exit 4'] });
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const { stdout, exitCode } = await process.collect();
      assert.deepEqual([stdout.toString(), exitCode], ['gone\n', 4]);
    });

    it('end, and the exit is told, while a child of the process still holds the pipe', async () => {
      const process = await container.exec({ args: ['sh', '-c', 'sleep 60 & echo hi; exit 3'] });
      const { stdout, exitCode } = await process.collect();
      assert.deepEqual([stdout.toString(), exitCode], ['hi\n', 3]);
    });

    it('hold back a process that nobody reads, and lose nothing of it', async () => {
      const process = await container.exec({ args: ['sh', '-c', `head -c ${2 * MIB} /dev/zero; echo written >&2`] });
      const early = await Promise.race([
        client.kata.readStderr({ ...process.address, len: 100 }).then(() => 'the process got rid of 2 MiB that nobody read'),
        new Promise((resolve) => setTimeout(resolve, 1000, 'held back')),
      ]);
      assert.equal(early, 'held back');
      const { stdout } = await process.collect();
      assert.equal(stdout.length, 2 * MIB);
    });

    it('report a write to a process that has closed its stdin, without failing the process', async () => {
      const process = await container.exec({ args: ['sh', '-c', 'exec <&-; sleep 1; echo alive'] });
      const block = Buffer.alloc(256 * 1024);
      await assert.rejects(async () => {
        for (let write = 0; write < 20; write++) await client.kata.writeStdin({ ...process.address, data: block });
      }, /EPIPE/);
      const { stdout, exitCode } = await process.collect();
      assert.deepEqual([stdout.toString(), exitCode], ['alive\n', 0]);
    });

    it('join stdout and stderr on a terminal, which knows its size', async () => {
      const process = await container.exec({
        args: ['sh', '-c', 'stty size; tty; echo err >&2'],
        tty: true,
        size: { rows: 33, columns: 77 },
      });
      const { stdout } = await process.collect();
      assert.match(stdout.toString(), /^33 77\r\n\/dev\/pts\/\d+\r\nerr\r\n$/);
    });
  });
}
