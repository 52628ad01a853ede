import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Forward } from '../../../../client/api/forward.ts';
import type { Tunnel } from '../../../../client/api/tunnel.ts';

const openFds = async () => (await readdir('/proc/self/fd')).length;

describe('a forwarded port', () => {
  it('gives back the socket of a connection that is cut just as the guest has ended its side', async () => {
    const tunnel = new Duplex({
      allowHalfOpen: true,
      read() {
        this.push('all there is');
        this.push(null);
      },
    });
    const forward = await Forward.start({ listen: 0, to: { port: 1 } }, async () => tunnel as Tunnel);
    const before = await openFds();
    // The socket has been told to end by then, and the kernel has not been.
    tunnel.once('end', () => process.nextTick(() => tunnel.destroy(new Error('cut'))));
    const socket = net.connect(forward.port);
    assert.equal((await buffer(socket)).toString(), 'all there is');
    socket.destroy();
    await forward.close();
    // The listener's own is gone as well.
    for (let tries = 0; (await openFds()) >= before && tries < 100; tries++) await sleep(10);
    assert.equal(await openFds(), before - 1);
  });
});
