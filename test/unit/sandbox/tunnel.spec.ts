// One tunnel between a socket pair and a client that is told: credit, turns and ends, without a protocol.
import assert from 'node:assert/strict';
import { hasCode } from '../../../agent/errors.ts';
import { Scheduler } from '../../../agent/process/stream/scheduler.ts';
import type { Turns } from '../../../agent/process/stream/turns.ts';
import { Tunnel, type TunnelEvent } from '../../../agent/sandbox/tunnel.ts';
import { native } from '../../../native/index.ts';
import { turn } from '../native/fixture.ts';

const WINDOW = 64 * 1024;

interface Setup {
  readonly tunnel: Tunnel;
  readonly peer: number;
  readonly events: TunnelEvent[];
  readonly running: Promise<void>;
  readonly stop: AbortController;
  readonly closed: () => number;
}

function open({ credit = 1024 * 1024, turns = new Scheduler() as Turns, slow = false } = {}): Setup {
  const [ours, peer] = native().socketPair();
  const events: TunnelEvent[] = [];
  const stop = new AbortController();
  let closed = 0;
  const send = async (event: TunnelEvent) => {
    // What it carries is ours only until it has been handed over.
    events.push(event.kind === 'data' ? { ...event, data: Buffer.from(event.data) } : event);
    if (slow) await new Promise(() => {});
  };
  const tunnel = new Tunnel(
    ours,
    { credit, windowBytes: WINDOW, onClosed: () => closed++ },
    { turns, clientId: 'c1', signal: stop.signal, send },
  );
  const running = tunnel.run();
  running.catch(() => {});
  return { tunnel, peer, events, running, stop, closed: () => closed };
}

const kinds = ({ events }: Setup) => events.map(({ kind }) => kind);
const received = ({ events }: Setup) =>
  Buffer.concat(events.flatMap((event) => (event.kind === 'data' ? [event.data] : []))).toString();
async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    assert.ok(tries < 2000, 'it did not happen');
    await turn();
  }
}
async function settle(): Promise<void> {
  for (let count = 0; count < 20; count++) await turn();
}

describe('a tunnel, whatever the protocol', () => {
  it('ends when both directions have ended, in either order', async () => {
    for (const order of ['listener', 'client'] as const) {
      const setup = open();
      const { tunnel, peer } = setup;
      native().transmit(peer, Buffer.from('down'));
      tunnel.write(Buffer.from('up'));
      if (order === 'client') tunnel.end();
      native().shutdownWrites(peer);
      await until(() => kinds(setup).includes('end'));
      if (order === 'listener') tunnel.end();
      await setup.running;
      assert.equal(received(setup), 'down');
      assert.deepEqual(kinds(setup), ['connected', 'data', 'end']);
      assert.equal(setup.closed(), 1);
      native().close(peer);
    }
  });

  it('takes no byte from the socket without credit', async () => {
    const setup = open({ credit: 3 });
    native().transmit(setup.peer, Buffer.from('abcdef'));
    await until(() => received(setup) === 'abc');
    await settle();
    assert.equal(received(setup), 'abc');
    setup.tunnel.credit(2);
    await until(() => received(setup) === 'abcde');
    setup.tunnel.close();
    native().close(setup.peer);
  });

  it('sends bytes only in its turn', async () => {
    const asked: number[] = [];
    const turns: Turns = {
      turn: (_client, _stream, maxBytes) => {
        asked.push(maxBytes);
        return new Promise(() => {});
      },
    };
    const setup = open({ turns });
    await settle();
    assert.deepEqual(asked, [], 'nothing to send');
    native().transmit(setup.peer, Buffer.from('abc'));
    await until(() => asked.length === 1);
    await settle();
    assert.deepEqual(kinds(setup), ['connected']);
    setup.tunnel.close();
    native().close(setup.peer);
  });

  it('gives back what it does not use of a turn, and what it used once that has gone', async () => {
    const turns = new Scheduler();
    const setup = open({ turns });
    native().transmit(setup.peer, Buffer.from('abc'));
    await until(() => received(setup) === 'abc');
    await settle();
    assert.equal(turns.inFlight('c1'), 0);
    const stuck = open({ turns, slow: true });
    native().transmit(stuck.peer, Buffer.from('abc'));
    await until(() => received(stuck) === 'abc');
    assert.equal(turns.inFlight('c1'), 3);
    for (const { tunnel, peer } of [setup, stuck]) {
      tunnel.close();
      native().close(peer);
    }
  });

  it('holds the window of what its listener does not read, and refuses more', async () => {
    const setup = open();
    const block = Buffer.alloc(WINDOW / 4);
    // What the kernel takes is told as room again.
    let sent = 0;
    const credit = () =>
      WINDOW + setup.events.reduce((sum, event) => sum + (event.kind === 'credit' ? event.bytes : 0), 0) - sent;
    for (let idle = 0; idle < 20; ) {
      if (credit() >= block.length) {
        setup.tunnel.write(block);
        sent += block.length;
        idle = 0;
      } else idle++;
      await turn();
    }
    // Less than a quarter may be free without being told.
    assert.throws(
      () => setup.tunnel.write(Buffer.alloc(credit() + 1)),
      (error) => hasCode(error, 'resource_exhausted'),
    );
    let drained = 0;
    const buffer = Buffer.alloc(1024 * 1024);
    await until(() => {
      const got = native().receive(setup.peer, buffer);
      if (got > 0) drained += got;
      return drained === sent;
    });
    await until(() => credit() > (3 * WINDOW) / 4);
    setup.tunnel.close();
    native().close(setup.peer);
  });

  it('does not gather credit for a client that takes none', async () => {
    const setup = open({ slow: true });
    for (let count = 0; count < 4; count++) setup.tunnel.write(Buffer.alloc(WINDOW / 4));
    const buffer = Buffer.alloc(WINDOW);
    for (let count = 0; count < 50; count++) {
      native().receive(setup.peer, buffer);
      await turn();
    }
    assert.equal(kinds(setup).filter((kind) => kind === 'credit').length, 1);
    setup.tunnel.close();
    native().close(setup.peer);
  });

  it('tells a break last, after what could still be read', async () => {
    const setup = open({ credit: 4 });
    native().transmit(setup.peer, Buffer.from('last words'));
    native().close(setup.peer);
    setup.tunnel.write(Buffer.from('x'));
    await until(() => received(setup) === 'last');
    await settle();
    assert.ok(!kinds(setup).includes('reset'));
    setup.tunnel.credit(100);
    await setup.running;
    assert.equal(received(setup), 'last words');
    assert.deepEqual(setup.events.at(-1), { kind: 'reset', errno: 'EPIPE' });
  });

  it('is over with its client, and frees its place once', async () => {
    const setup = open();
    setup.stop.abort(new Error('gone'));
    await assert.rejects(setup.running, /gone/);
    setup.tunnel.close();
    assert.equal(setup.closed(), 1);
    await turn();
    assert.equal(native().receive(setup.peer, Buffer.alloc(1)), 0);
    native().close(setup.peer);
  });
});
