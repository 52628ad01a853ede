// Who may speak: only the host. The same check with the defence off shows that the test can fail.
import assert from 'node:assert/strict';
import { bootTestGuest, sharedGuest } from '../support/guest.ts';
import { runInGuest } from '../support/guest-resources.ts';

/**
 * Run by the guest's own Node: connects to the agent's port from inside, sends a whole ttrpc Check and prints what comes.
 * CID 1 is the local one, and the guest's own CID leads to the same place (man 7 vsock).
 */
const ASK = `
const berth = require('/usr/lib/berth/berth.node');
const frame = Buffer.from('${checkRequest().toString('hex')}', 'hex');
(async () => {
  for (const cid of [berth.vsockLocalCid(), 1]) {
    try {
      const fd = await berth.vsockConnect(cid, 1024, 5000);
      const { Socket } = require('net');
      const Pipe = new Socket({ fd: berth.socketPair()[0] })._handle.constructor;
      const handle = new Pipe(0); handle.open(fd);
      const socket = new Socket({ handle, readable: true, writable: true });
      const answer = await new Promise((resolve) => {
        socket.on('error', (error) => resolve('closed ' + error.code));
        socket.on('data', (data) => resolve('answered ' + data.length));
        socket.on('close', () => resolve('closed'));
        socket.write(frame);
        setTimeout(resolve, 10000, 'silence');
      });
      console.log(answer.split(' ')[0]);
      socket.destroy();
    } catch (error) { console.log('unreachable ' + error.code); }
  }
  process.exit(0);
})();
`;

const NODE = '/usr/lib/berth/node';

/** The guest's kernel carries connections of its own only with this transport; whoever is root there can load it. */
const LOAD_LOOPBACK = ['modprobe', 'vsock_loopback'];

describe('a connection to the agent from inside the guest', () => {
  it('is closed unanswered, from the guest and from a container', async () => {
    const guest = await sharedGuest();
    await using client = await guest.connect('ttrpc');
    await runInGuest(client, LOAD_LOOPBACK);
    const answers = (await runInGuest(client, [NODE, '-e', ASK])).trim().split('\n');
    assert.equal(answers.length, 2);
    for (const answer of answers) assert.equal(answer, 'closed', `by its own CID, by the local CID: ${answers}`);
  });

  it('is answered when the check is off, so the test above can fail', async () => {
    await using guest = await bootTestGuest({ cmdline: ['berth.allow_cid=any'] });
    await using client = await guest.connect('ttrpc');
    await runInGuest(client, LOAD_LOOPBACK);
    const answers = (await runInGuest(client, [NODE, '-e', ASK])).trim().split('\n');
    assert.deepEqual(answers, ['answered', 'answered']);
  });
});

/** grpc.Health/Check as a ttrpc frame (containerd/ttrpc PROTOCOL.md): length, stream 1, request, no flags. */
function checkRequest(): Buffer {
  const field = (tag: number, text: string) => Buffer.concat([Buffer.from([tag, text.length]), Buffer.from(text)]);
  const body = Buffer.concat([field(0x0a, 'grpc.Health'), field(0x12, 'Check')]);
  const header = Buffer.alloc(10);
  header.writeUInt32BE(body.length, 0);
  header.writeUInt32BE(1, 4);
  header[8] = 1;
  return Buffer.concat([header, body]);
}
