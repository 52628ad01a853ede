import assert from 'node:assert/strict';
import { openSync, readSync, writeSync } from 'node:fs';
import { Relay } from '../../../../agent/process/stream/relay.ts';
import { native } from '../../../../native/index.ts';
import { assertNoFdLeak, exitOf, spawn } from '../../native/fixture.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function readAll(fd: number): { text: Promise<string>; stop(): void } {
  const parts: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<string>();
  const watch = native().watchReadable(fd, () => {
    const buffer = Buffer.alloc(65_536);
    const got = readSync(fd, buffer);
    if (got > 0) parts.push(buffer.subarray(0, got));
    else {
      watch.close();
      resolve(Buffer.concat(parts).toString('latin1'));
    }
  });
  return { text: promise, stop: () => watch.close() };
}

describe('a stream relayed in the kernel', function () {
  this.timeout(20_000);

  it('goes whole from a pipe into a socket that is read slowly', async () => {
    const [from, into] = native().pipe();
    const [ours, theirs] = native().socketPair();
    const child = exitOf(spawn('/usr/bin/seq', ['1', '200000'], { fds: [-1, into, -1] }));
    native().close(into);
    const relay = new Relay({ from, to: ours });
    await pause(50);
    const reading = readAll(theirs);
    assert.equal(await relay.done, 'ended');
    for (const fd of [from, ours]) native().close(fd);
    assert.equal(await reading.text, Array.from({ length: 200_000 }, (_, at) => `${at + 1}\n`).join(''));
    await child;
    native().close(theirs);
  });

  it('goes to a device that always has room, however its bytes come', async () => {
    for (let round = 0; round < 25; round++) {
      const [from, into] = native().pipe();
      const nowhere = openSync('/dev/null', 'r+');
      const child = exitOf(spawn('/usr/bin/seq', ['1', '100000'], { fds: [-1, into, -1] }));
      native().close(into);
      const relay = new Relay({ from, to: nowhere });
      assert.equal(await relay.done, 'ended');
      assert.equal(relay.moved, 588_895);
      for (const fd of [from, nowhere]) native().close(fd);
      await child;
    }
  });

  it('goes from a socket into a pipe, and ends with the half-close of the other side', async () => {
    const [ours, theirs] = native().socketPair();
    const [from, into] = native().pipe();
    const relay = new Relay({ from: ours, to: into });
    writeSync(theirs, 'typed');
    native().close(theirs);
    assert.equal(await relay.done, 'ended');
    native().close(into);
    assert.equal(await readAll(from).text, 'typed');
    for (const fd of [ours, from]) native().close(fd);
  });

  it('goes between a socket and a terminal, both ways', async () => {
    const { master, slave } = native().openPty();
    native().makeRaw(slave);
    const [input, client] = native().socketPair();
    const [output, screen] = native().socketPair();
    const child = exitOf(
      spawn('/bin/sh', ['-c', 'head -c 20000 | sha1sum; head -c 20000 /dev/zero'], { fds: [slave, slave, slave] }),
    );
    native().close(slave);
    const relays = [
      new Relay({ from: input, to: master, between: true }),
      new Relay({ from: master, to: output, between: true }),
    ];
    const seen = readAll(screen);
    writeSync(client, Buffer.alloc(20_000, 'x'));
    assert.equal(await relays[1]!.done, 'ended');
    relays[0]!.close();
    assert.equal(await relays[0]!.done, 'closed');
    for (const fd of [output, master, input, client]) native().close(fd);
    const text = await seen.text;
    assert.match(text, /^[0-9a-f]{40} {2}-\n/);
    assert.equal(text.length, 44 + 20_000);
    await child;
    native().close(screen);
  });

  it('tells when the target takes no more, and leaves the source open', async () => {
    const [from, into] = native().pipe();
    const [ours, theirs] = native().socketPair();
    native().close(theirs);
    const relay = new Relay({ from, to: ours });
    writeSync(into, 'for nobody');
    assert.equal(await relay.done, 'broken');
    writeSync(into, 'no SIGPIPE');
    for (const fd of [from, into, ours]) native().close(fd);
  });

  it('leaves nothing open', () =>
    assertNoFdLeak(5, async () => {
      const [from, into] = native().pipe();
      const [ours, theirs] = native().socketPair();
      const relay = new Relay({ from, to: ours, between: true });
      relay.close();
      await relay.done;
      for (const fd of [from, into, ours, theirs]) native().close(fd);
    }));
});
