// The time limits of a ttrpc connection, under a clock of our own.
import assert from 'node:assert/strict';
import type net from 'node:net';
import { mock } from 'node:test';
import { silentLogger } from '../../../agent/log.ts';
import { FRAME_STALL_TIMEOUT_MS } from '../../../agent/rpc/limits.ts';
import { methodTable } from '../../../agent/rpc/service.ts';
import { TtrpcConnection } from '../../../agent/rpc/ttrpc/connection.ts';
import { HEADER_BYTES, writeHeader } from '../../../agent/rpc/ttrpc/frame.ts';
import { indexMethods } from '../../../agent/rpc/ttrpc/method-index.ts';
import { socketFromFd } from '../../../agent/transport/pipe-handle.ts';
import { native } from '../../../native/index.ts';

describe('a ttrpc connection that stops inside a frame', () => {
  let socket: net.Socket;
  let peer: net.Socket;
  let connection: TtrpcConnection;
  const frame = Buffer.alloc(HEADER_BYTES + 100);
  writeHeader(frame, 100, 1, 3);

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    [socket, peer] = native().socketPair().map(socketFromFd) as [net.Socket, net.Socket];
    connection = new TtrpcConnection(
      socket,
      { id: 'c1', protocol: 'ttrpc', peer: 'unix' },
      { methods: indexMethods(methodTable([])), log: silentLogger },
    );
  });
  afterEach(() => {
    mock.timers.reset();
    socket.destroy();
    peer.destroy();
  });

  for (const length of [1, HEADER_BYTES, HEADER_BYTES + 50]) {
    it(`is closed after its time when ${length} bytes have come`, () => {
      connection.receive(frame.subarray(0, length));
      mock.timers.tick(FRAME_STALL_TIMEOUT_MS - 1);
      assert.equal(socket.destroyed, false);
      mock.timers.tick(1);
      assert.equal(socket.destroyed, true);
    });
  }

  it('gets its time anew with each byte', () => {
    for (let at = 0; at < 20; at++) {
      connection.receive(frame.subarray(at, at + 1));
      mock.timers.tick(FRAME_STALL_TIMEOUT_MS - 1);
    }
    assert.equal(socket.destroyed, false);
  });

  it('may rest for ever between two frames', () => {
    connection.receive(frame.subarray(0, 50));
    connection.receive(frame.subarray(50));
    mock.timers.tick(FRAME_STALL_TIMEOUT_MS * 100);
    assert.equal(socket.destroyed, false);
  });
});
