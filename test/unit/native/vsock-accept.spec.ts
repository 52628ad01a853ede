// vsockAccept's decisions, over the stand-in for AF_VSOCK: who is let in, and what happens when fds run out.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compilePreload, dialAs, freePort, VsockNode } from './vsock-over-tcp.ts';

/** Accepts, says `{peer, refused, shed}` to each connection and closes it; ends when stdin does. */
const listenScript = (port: number, allowedCid: string, onConnection = 'fs.closeSync(fd)') => `
  const fs = await import('node:fs');
  const listenFd = addon.vsockListen(0xffffffff, ${port}, 256);
  const watch = addon.vsockAccept(listenFd, ${allowedCid}, (fd, peer) => {
    fs.writeSync(fd, JSON.stringify({ cid: peer.cid, port: peer.port > 0, refused: watch.refused, shed: watch.shed }));
    ${onConnection};
  });
  process.stdin.on('end', () => { watch.close(); addon.close(listenFd); }).resume();
  const cpuMs = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
  console.log('"ready"');`;

interface Told {
  cid: number;
  port: boolean;
  refused: number;
  shed: number;
}

describe('native vsockAccept', function () {
  this.timeout(60_000); // starts Nodes, slow on a busy machine
  let folder = '';
  let library = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-accept-'));
    library = compilePreload(folder);
  });
  after(() => rmSync(folder, { recursive: true }));

  const listening = async (script: (port: number) => string, options = {}): Promise<[VsockNode, number]> => {
    const port = await freePort();
    const node = new VsockNode(library, script(port), options);
    assert.equal(await node.next(), 'ready');
    return [node, port];
  };

  it('lets the allowed CID in and closes every other unanswered, counting it', async () => {
    const [node, port] = await listening((at) => listenScript(at, '2'));
    assert.deepEqual(JSON.parse(await dialAs(2, port)), { cid: 2, port: true, refused: 0, shed: 0 });
    for (const cid of [1, 3, 42]) assert.equal(await dialAs(cid, port), '');
    const { refused } = JSON.parse(await dialAs(2, port)) as Told;
    assert.equal(refused, 3);
    assert.equal(await node.end(), 0);
  });

  it('lets every CID in when none is named', async () => {
    const [node, port] = await listening((at) => listenScript(at, 'undefined'));
    for (const cid of [1, 2, 77]) assert.equal((JSON.parse(await dialAs(cid, port)) as Told).cid, cid);
    assert.equal(await node.end(), 0);
  });

  it('serves 300 connections that come at once', async () => {
    const [node, port] = await listening((at) => listenScript(at, '2'));
    const told = await Promise.all(Array.from({ length: 300 }, (_, i) => dialAs(i % 3 === 0 ? 9 : 2, port)));
    assert.equal(told.filter((text) => text === '').length, 100);
    assert.equal(told.filter((text) => text.includes('"cid":2')).length, 200);
    assert.equal(await node.end(), 0);
  });

  it('takes at most 64 connections before the loop may do something else', async () => {
    const script = (at: number) => `
      const listenFd = addon.vsockListen(0xffffffff, ${at}, 256);
      console.log('"ready"');
      process.stdin.once('data', () => {
        const rounds = [];
        let inRound = 0;
        const watch = addon.vsockAccept(listenFd, 2, (fd) => {
          addon.close(fd);
          if (inRound++ === 0) setImmediate(() => { rounds.push(inRound); inRound = 0; });
        });
        setTimeout(() => { watch.close(); addon.close(listenFd); console.log(JSON.stringify(rounds)); process.stdin.destroy(); }, 300);
      });`;
    const [node, port] = await listening(script);
    const [calls, queued] = dialMany(150, port);
    await queued;
    node.write('go');
    const rounds = await node.next<number[]>();
    await Promise.all(calls);
    assert.deepEqual(rounds, [64, 64, 22]);
    assert.equal(await node.end(), 0);
  });

  it('closes what it has no fd for, goes on, and does not spin', async () => {
    // Holds what it was given until told to let go; answers each word with where it stands.
    const script = (at: number) => `const held = []; ${listenScript(at, '2', 'held.push(fd)')}
      process.stdin.on('data', (word) => {
        if (String(word) === 'release') for (const fd of held.splice(0)) addon.close(fd);
        console.log(JSON.stringify({ held: held.length, shed: watch.shed, cpuMs: cpuMs() }));
      });`;
    const [node, port] = await listening(script, { limits: 'ulimit -n 48;' });
    const ask = (word: string) => {
      node.write(word);
      return node.next<{ held: number; shed: number; cpuMs: number }>();
    };
    const [calls] = dialMany(80, port);
    let stand = await ask('?');
    for (let i = 0; i < 100 && stand.held + stand.shed < 80; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      stand = await ask('?');
    }
    assert.equal(stand.held + stand.shed, 80, 'each connection was answered or closed');
    assert.ok(stand.held > 5 && stand.shed > 30, `${stand.held} held, ${stand.shed} shed`);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok((await ask('?')).cpuMs - stand.cpuMs < 150, 'no spinning while there is no fd left');

    await ask('release');
    const answers = await Promise.all(calls);
    assert.equal(answers.filter((text) => text === '').length, stand.shed, 'the others were answered');
    const [later, queued] = dialMany(1, port);
    await queued;
    for (let held = 0; held === 0; ) ({ held } = await ask('?'));
    await ask('release');
    assert.equal((JSON.parse((await later[0])!) as Told).shed, stand.shed, 'with fds again, nothing is shed');
    assert.equal(await node.end(), 0);
  });

  it('waits and tries again, without spinning, when accept fails for want of memory', async () => {
    const marker = join(folder, 'failing');
    writeFileSync(marker, '');
    const script = (at: number) => `${listenScript(at, '2')}
      process.stdin.on('data', () => console.log(cpuMs()));`;
    const env = { BERTH_ACCEPT_ERRNO: '12', BERTH_ACCEPT_WHILE: marker };
    const [node, port] = await listening(script, { env });
    node.write('?');
    const before = await node.next<number>();
    const call = dialAs(2, port);
    await new Promise((resolve) => setTimeout(resolve, 500));
    node.write('?');
    assert.ok((await node.next<number>()) - before < 150, 'half a second without accept cost next to no CPU');
    rmSync(marker);
    assert.match(await call, /"cid":2/);
    assert.equal(await node.end(), 0);
  });

  it('may be closed by its own callback, and then accepts no more of the same round', async () => {
    const script = (at: number) => `
      const listenFd = addon.vsockListen(0xffffffff, ${at}, 16);
      console.log('"ready"');
      process.stdin.once('data', () => {
        let calls = 0;
        const watch = addon.vsockAccept(listenFd, 2, (fd) => { calls++; addon.close(fd); watch.close(); watch.close(); });
        setTimeout(() => { console.log(calls); addon.close(listenFd); process.stdin.destroy(); }, 100);
      });`;
    const [node, port] = await listening(script);
    const [calls, queued] = dialMany(3, port);
    await queued;
    node.write('go');
    assert.equal(await node.next(), 1);
    await Promise.all(calls);
    assert.equal(await node.end(), 0);
  });

  it('gives non-blocking, close-on-exec fds, and holds no fd after close', async () => {
    const script = (at: number) => `
      const fs = await import('node:fs');
      const table = () => fs.readdirSync('/proc/self/fd').length;
      console.log('"first"'); // opens what console needs
      const before = table();
      const listenFd = addon.vsockListen(0xffffffff, ${at}, 16);
      console.log('"ready"');
      const watch = addon.vsockAccept(listenFd, 2, (fd, peer) => {
        const flags = [fd, listenFd].map((one) => parseInt(/flags:\\s*(\\d+)/.exec(fs.readFileSync('/proc/self/fdinfo/' + one, 'utf8'))[1], 8));
        const peerAgain = addon.vsockPeer(fd);
        addon.close(fd);
        watch.close();
        addon.close(listenFd);
        setImmediate(() => {
          console.log(JSON.stringify({ flags, samePeer: peerAgain.cid === peer.cid && peerAgain.port === peer.port, left: table() - before }));
        });
      });`;
    const port = await freePort();
    const node = new VsockNode(library, script(port));
    assert.deepEqual([await node.next(), await node.next()], ['first', 'ready']);
    await dialAs(2, port);
    const { flags, samePeer, left } = await node.next<{ flags: number[]; samePeer: boolean; left: number }>();
    assert.ok(
      flags.every((flag) => (flag & 0o2004000) === 0o2004000),
      flags.map((flag) => flag.toString(8)).join(),
    );
    assert.equal(samePeer, true);
    assert.equal(left, 0);
    assert.equal(await node.end(), 0);
  });
});

/** Dials as CID 2, many times; the second value resolves when all are in the listener's queue. */
function dialMany(count: number, port: number): [calls: Promise<string>[], queued: Promise<unknown>] {
  const calls: Promise<string>[] = [];
  const queued = Array.from({ length: count }, () => new Promise<void>((resolve) => calls.push(dialAs(2, port, resolve))));
  return [calls, Promise.all(queued)];
}
