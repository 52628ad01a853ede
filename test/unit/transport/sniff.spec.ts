// Telling protocols apart.
import assert from 'node:assert/strict';
import { protocolOf } from '../../../agent/transport/sniff.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

describe('the first bytes of a connection', () => {
  it('are ttrpc when the first one is zero, whatever follows', () => {
    for (const rest of [[], [0], [0xff, 0x50]]) assert.equal(protocolOf(Buffer.from([0, ...rest])), 'ttrpc');
  });

  it('are gRPC once the whole HTTP/2 preface is there, and undecided before', () => {
    for (let length = 0; length < PREFACE.length; length++)
      assert.equal(protocolOf(PREFACE.subarray(0, length)), 'more', String(length));
    assert.equal(protocolOf(PREFACE), 'grpc');
    assert.equal(protocolOf(Buffer.concat([PREFACE, Buffer.from([0, 0, 0, 4])])), 'grpc');
  });

  it('are unknown from the first byte that is neither', () => {
    for (let first = 1; first < 256; first++) {
      if (first !== 0x50) assert.equal(protocolOf(Buffer.from([first])), 'unknown', String(first));
    }
    assert.equal(protocolOf(Buffer.from('POST /grpc HTTP/1.1\r\n')), 'unknown');
    assert.equal(protocolOf(Buffer.from('PRI * HTTP/2.1')), 'unknown');
    assert.equal(protocolOf(Buffer.from('PRI * HTTP/2.0\r\n\r\nXX')), 'unknown');
  });
});
