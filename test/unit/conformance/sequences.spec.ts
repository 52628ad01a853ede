// The dumps of the hosts' call sequences, and the codec they are written with, held against a codec of other people.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { grpc } from '#proto/kata.js';
import { ttrpc } from '#proto/ttrpc.js';
import { dumpOf, framesOf, readDump } from '../../conformance/sequences/dump.ts';
import { HEADER_BYTES } from '../../conformance/sequences/frames.ts';
import { goRuntime } from '../../conformance/sequences/go-runtime.ts';
import { runtimeRs } from '../../conformance/sequences/runtime-rs.ts';
import { decode } from '../../support/wire/decode.ts';
import { encode } from '../../support/wire/encode.ts';

const DUMPS = join(import.meta.dirname, '../../conformance/sequences');

for (const sequence of [goRuntime, runtimeRs]) {
  describe(`the dump of ${sequence.name}`, () => {
    let text: string;
    before(async () => {
      text = await readFile(join(DUMPS, `${sequence.name}.hex`), 'utf8');
    });

    it('is what the sequence says', () => assert.equal(text, dumpOf(sequence)));

    it('holds one request frame a call, on streams 1, 3, 5 and so on, with no flags', () => {
      for (const [index, frame] of readDump(text).entries()) {
        assert.equal(frame.readUInt32BE(0), frame.length - HEADER_BYTES);
        assert.equal(frame.readUInt32BE(4), 2 * index + 1);
        assert.deepEqual([frame[8], frame[9]], [1, 0]);
      }
    });

    it('is read by protobufjs as the calls that were meant', () => {
      const frames = readDump(text);
      for (const [index, { call }] of framesOf(sequence).entries()) {
        const envelope = ttrpc.Request.decode(frames[index]!.subarray(HEADER_BYTES));
        assert.equal(envelope.method, call);
        assert.equal(envelope.service, ['Check', 'Version'].includes(call) ? 'grpc.Health' : 'grpc.AgentService');
        assert.equal(envelope.metadata.length, 0);
      }
    });
  });
}

describe('the codec of the tests', () => {
  const rule = { Names: ['x'], Action: 'A', errnoret: 0, Args: [{ Index: 1, Value: '18446744073709551615', Op: 'O' }] };

  it('writes what the hosts write: fields by number, zeros left out, numbers packed, members of a oneof even when zero', () => {
    assert.equal(encode('grpc.CheckRequest', {}).toString('hex'), '');
    assert.equal(encode('grpc.OnlineCPUMemRequest', { cpu_only: false, nb_cpus: 3, wait: true }).toString('hex'), '08011003');
    assert.equal(encode('grpc.AddSwapRequest', { PCIPath: [1, 300] }).toString('hex'), '0a0301ac02');
    assert.equal(encode('grpc.CopyFileRequest', { uid: -1 }).toString('hex'), '28ffffffffffffffffff01');
    assert.equal(encode('grpc.Process', { User: {} }).toString('hex'), '1a00');
    assert.equal(encode('grpc.LinuxSyscall', { errnoret: 0 }).toString('hex'), '1800');
    assert.equal(encode('grpc.Linux', { Sysctl: { a: 'b' } }).toString('hex'), '1a060a0161120162');
  });

  it('puts members of a oneof last for rust-protobuf', () => {
    const go = encode('grpc.LinuxSyscall', rule);
    const rust = encode('grpc.LinuxSyscall', rule, 'oneofs-last');
    assert.notDeepEqual(go, rust);
    assert.ok(go.indexOf('1800', 0, 'hex') < go.indexOf('22', 0, 'hex') && rust.toString('hex').endsWith('1800'));
    assert.deepEqual(decode('grpc.LinuxSyscall', go), decode('grpc.LinuxSyscall', rust));
  });

  it('and protobufjs read what the other writes', () => {
    const bytes = encode('grpc.LinuxSyscall', rule);
    const read = grpc.LinuxSyscall.decode(bytes);
    assert.deepEqual([read.Names, read.errnoret, read.Args[0]?.Value], [['x'], 0, 18446744073709551615n]);
    assert.deepEqual(Buffer.from(grpc.LinuxSyscall.encode(read).finish()), bytes);
    const written = grpc.WriteStreamRequest.encode({ containerId: 'c', data: Buffer.from([0, 255]) }).finish();
    assert.deepEqual(decode('grpc.WriteStreamRequest', written), { container_id: 'c', exec_id: '', data: Buffer.from([0, 255]) });
  });

  it('refuses a field that the message does not have', () => {
    assert.throws(() => encode('grpc.CheckRequest', { servce: 'x' }), /has no field servce/);
  });
});
