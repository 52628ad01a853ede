// The messages of the keeper wire, byte for byte as native/init/keeper.h lays them out.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hasCode } from '../../../agent/errors.ts';
import {
  decodeMessage,
  decodeWaitStatus,
  encodeAck,
  encodeFdList,
  encodeFdRequest,
  encodePet,
  encodePowerOff,
  encodeResized,
  encodeSettle,
  encodeTrack,
  encodeUpgrade,
} from '../../../agent/keeper/wire.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('the keeper wire', () => {
  it('writes requests as the header file has them', () => {
    const track = encodeTrack(7, 0x01020304, 0x1112131415161718n, 0x2122232425262728n);
    assert.deepEqual(track, hex('0100 0100 07000000 04030201 00000000 1817161514131211 2827262524232221'));
    const unknownStart = encodeTrack(8, 5, undefined, 9n);
    assert.deepEqual(unknownStart, hex('0100 0100 08000000 05000000 00000000 0000000000000000 0900000000000000'));
    assert.deepEqual(encodeAck({ pid: 5, startTime: 6n }), hex('0100 0200 00000000 05000000 00000000 0600000000000000'));
    assert.deepEqual([encodePet(), encodeResized()], [hex('0100 0500 00000000'), hex('0100 0600 00000000')]);
    assert.deepEqual(encodeSettle(), hex('0100 0300 00000000'));
    assert.deepEqual(encodePowerOff(), hex('0100 0400 00000000 00000000 00000000'));
    const upgrade = hex(`0100 0700 07000000 04000000 00000000 ${Buffer.from('/a/main.js').toString('hex')} ${'00'.repeat(214)}`);
    assert.deepEqual(encodeUpgrade(7, '/a/main.js', 4), upgrade);
    assert.throws(() => encodeUpgrade(7, `/${'a'.repeat(223)}`, 4), RangeError);
    const key = hex('00112233445566778899aabbccddeeff');
    assert.deepEqual(
      encodeFdRequest(7, 'put', key, 3),
      hex('0100 1000 07000000 00112233445566778899aabbccddeeff 03000000 00000000'),
    );
    assert.deepEqual(
      encodeFdRequest(7, 'get', key),
      hex('0100 1100 07000000 00112233445566778899aabbccddeeff 00000000 00000000'),
    );
    assert.deepEqual(
      encodeFdRequest(7, 'delete', key),
      hex('0100 1200 07000000 00112233445566778899aabbccddeeff 00000000 00000000'),
    );
    assert.deepEqual(encodeFdList(7), hex('0100 1300 07000000'));
  });

  it('reads what init sends', () => {
    assert.deepEqual(decodeMessage(hex('0100 4000 00000000 03000000 04000000 00100000 30750000')), {
      type: 'welcome',
      version: 1,
      generation: 3,
      tracked: 4,
      trackedMax: 4096,
      watchdogMs: 30_000,
    });
    assert.deepEqual(decodeMessage(hex('0100 4100 07000000 01000000 02000000 0900000000000000')), {
      type: 'result',
      id: 7,
      result: 'full',
      startTime: 9n,
    });
    const exit = '0100 4200 00000000 05000000 00110000 ffffffffffffffff 40420f0000000000';
    assert.deepEqual(decodeMessage(hex(`${exit} 00000000 00000000`)), {
      type: 'exit',
      record: { pid: 5, startTime: 2n ** 64n - 1n, code: 17, coreDumped: false, exitedAt: 1 },
    });
    assert.deepEqual(decodeMessage(hex(`${exit} 01000000 00000000`)), {
      type: 'lost',
      process: { pid: 5, startTime: 2n ** 64n - 1n },
    });
    assert.deepEqual(decodeMessage(hex('0100 5000 07000000 00112233445566778899aabbccddeeff 03000000 00000000')), {
      type: 'fds',
      id: 7,
      key: hex('00112233445566778899aabbccddeeff'),
      count: 3,
    });
  });

  it('reads every wait status', () => {
    for (let code = 0; code < 256; code++) assert.deepEqual(decodeWaitStatus(code << 8), { code, coreDumped: false });
    for (let signal = 1; signal < 65; signal++) {
      assert.deepEqual(decodeWaitStatus(signal), { signal, coreDumped: false });
      assert.deepEqual(decodeWaitStatus(signal | 0x80), { signal, coreDumped: true });
    }
  });

  it('refuses whatever it does not know with an error of ours, and never with another', () => {
    const refused = (bytes: Buffer) =>
      assert.throws(
        () => decodeMessage(bytes),
        (error) => hasCode(error, 'internal'),
      );
    refused(hex(''));
    refused(hex('0100 4000 000000'));
    refused(hex('0200 4000 00000000 03000000 04000000 00100000 00000000'));
    refused(hex('0100 4000 00000000 03000000 04000000 00100000 000000'));
    refused(hex('0100 4100 07000000 01000000 05000000 0900000000000000'));
    refused(hex('0100 4300 00000000'));
    const header = fc.tuple(fc.constantFrom(1, 2), fc.constantFrom(64, 65, 66, 80), fc.uint8Array({ maxLength: 60 }));
    fc.assert(
      fc.property(header, ([version, type, rest]) => {
        const message = Buffer.concat([hex('0000 0000 00000000'), rest]);
        message.writeUInt16LE(version, 0);
        message.writeUInt16LE(type, 2);
        try {
          decodeMessage(message);
        } catch (error) {
          assert.ok(hasCode(error, 'internal'));
        }
      }),
    );
  });
});
