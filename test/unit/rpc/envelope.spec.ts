// The hand-written envelope codec against the code generated from proto/ttrpc.proto.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ttrpc } from '#proto/ttrpc.js';
import { decodeRequest, decodeResponse, failureFrame, requestPrefix, responsePrefix } from '../../../agent/rpc/ttrpc/envelope.ts';
import { HEADER_BYTES } from '../../../agent/rpc/ttrpc/frame.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.toWellFormed());
const anyRequest = fc.record({
  service: anyText,
  method: anyText,
  payload: fc.uint8Array({ maxLength: 300 }),
  timeoutNano: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  metadata: fc.uniqueArray(fc.record({ key: fc.stringMatching(/^[a-z-]{1,8}$/), value: anyText }), {
    selector: ({ key }) => key,
    maxLength: 4,
  }),
});

describe('the ttrpc envelope', () => {
  it('reads every request that generated code writes', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const decoded = decodeRequest(Buffer.from(ttrpc.Request.encode(request).finish()));
        assert.equal(decoded.service, request.service);
        assert.equal(decoded.method, request.method);
        assert.equal(decoded.timeoutNano, request.timeoutNano);
        assert.deepEqual([...decoded.payload], [...request.payload]);
        assert.deepEqual(
          [...decoded.metadata],
          request.metadata.map(({ key, value }) => [key, value]),
        );
      }),
    );
  });

  it('writes requests that generated code reads', () => {
    fc.assert(
      fc.property(anyRequest, ({ payload, ...request }) => {
        const metadata = new Map(request.metadata.map(({ key, value }) => [key, value]));
        const frame = Buffer.concat([requestPrefix(7, { ...request, metadata }, payload.length), payload]);
        assert.equal(frame.readUInt32BE(0), frame.length - HEADER_BYTES);
        assert.deepEqual([frame.readUInt32BE(4), frame[8], frame[9]], [7, 1, 0]);
        const decoded = ttrpc.Request.decode(frame.subarray(HEADER_BYTES));
        assert.deepEqual([...(decoded.payload ?? [])], [...payload]);
        assert.deepEqual(
          [decoded.service, decoded.method, decoded.timeoutNano],
          [request.service, request.method, request.timeoutNano],
        );
      }),
    );
  });

  for (const length of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 4_194_304]) {
    it(`writes a response of ${length} bytes that generated code reads`, () => {
      const payload = Buffer.alloc(length, 5);
      const frame = Buffer.concat([responsePrefix(9, length), payload]);
      assert.equal(frame.readUInt32BE(0), frame.length - HEADER_BYTES);
      assert.deepEqual([frame.readUInt32BE(4), frame[8]], [9, 2]);
      const decoded = ttrpc.Response.decode(frame.subarray(HEADER_BYTES));
      assert.equal(Buffer.compare(Buffer.from(decoded.payload ?? []), payload), 0);
      assert.deepEqual([decoded.status?.code, decoded.status?.message], [0, '']);
      assert.equal(decodeResponse(frame.subarray(HEADER_BYTES)).status, undefined);
    });
  }

  it('writes a failure that generated code reads', () => {
    const frame = failureFrame(11, { code: 5, message: 'process not found: é' });
    assert.equal(frame.readUInt32BE(0), frame.length - HEADER_BYTES);
    const { status } = ttrpc.Response.decode(frame.subarray(HEADER_BYTES));
    assert.deepEqual([status?.code, status?.message], [5, 'process not found: é']);
    assert.deepEqual(decodeResponse(frame.subarray(HEADER_BYTES)).status, { code: 5, message: 'process not found: é' });
  });

  it('reads a response without a status as a success, as Go sends it', () => {
    const body = Buffer.from(ttrpc.Response.encode({ payload: Buffer.from('x') }).finish());
    assert.deepEqual(decodeResponse(body).status, undefined);
  });

  it('gives lower-case metadata, and of a repeated key the last value', () => {
    const metadata = [
      { key: 'Trace', value: '1' },
      { key: 'trace', value: '2' },
    ];
    const { metadata: read } = decodeRequest(Buffer.from(ttrpc.Request.encode({ metadata }).finish()));
    assert.deepEqual([...read], [['trace', '2']]);
  });

  it('skips fields it does not know', () => {
    const known = ttrpc.Request.encode({ service: 's', method: 'm' }).finish();
    const unknown = Buffer.from([0x98, 0x06, 1, 0xa2, 0x06, 2, 9, 9, 0xad, 0x06, 1, 2, 3, 4]);
    assert.equal(decodeRequest(Buffer.concat([unknown, known])).method, 'm');
  });

  for (const { title, body } of [
    {
      title: 'a string that reaches beyond the nested message around it',
      body: [0x2a, 3, 0x0a, 5, 0x61, 0x62, 0x63, 0x64, 0x65],
    },
    { title: 'a nested message that reaches beyond the envelope', body: [0x2a, 50, 0x0a, 1, 0x61] },
    { title: 'a string that reaches beyond the envelope', body: [0x0a, 50, 0x61] },
    { title: 'a number that does not end', body: [0x20, 0xff, 0xff] },
  ]) {
    it(`refuses ${title}`, () => {
      assert.throws(() => decodeRequest(Buffer.from(body)));
    });
  }

  it('answers any bytes with a value or an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        for (const decode of [decodeRequest, decodeResponse]) {
          try {
            decode(Buffer.from(bytes));
          } catch (error) {
            assert.ok(error instanceof Error);
          }
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it('refuses what generated code refuses', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const refuses = (decode: () => unknown) => {
          try {
            decode();
            return false;
          } catch {
            return true;
          }
        };
        // Ours may refuse more: generated code takes a known field with a foreign wire type for an unknown one, as we do.
        const generated = refuses(() => ttrpc.Request.decode(bytes));
        const ours = refuses(() => decodeRequest(Buffer.from(bytes)));
        assert.equal(ours, generated, Buffer.from(bytes).toString('hex'));
      }),
      { numRuns: 20_000 },
    );
  });
});
