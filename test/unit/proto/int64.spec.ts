// 64-bit fields of generated messages are bigint and exact.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { grpc } from '#proto/kata.js';
import { fromInt64, fromUint64, toInt64, toUint64 } from '../../../proto/int64.ts';

const RLIM_INFINITY = 18446744073709551615n;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

describe('64-bit fields', () => {
  it('carry RLIM_INFINITY and -1 exactly', () => {
    const bytes = grpc.Spec.encode({
      Process: { Rlimits: [{ Type: 'RLIMIT_NOFILE', Hard: RLIM_INFINITY, Soft: 1024n }] },
      Linux: { Resources: { Memory: { Limit: -1n, Swap: INT64_MIN }, CPU: { Quota: INT64_MAX } } },
    }).finish();
    const spec = grpc.Spec.decode(bytes);
    assert.equal(spec.Process?.Rlimits?.[0]?.Hard, RLIM_INFINITY);
    const { Memory, CPU } = spec.Linux!.Resources!;
    assert.deepEqual([Memory!.Limit, Memory!.Swap, CPU!.Quota], [-1n, INT64_MIN, INT64_MAX]);
  });

  it('are 0n where the message left them out', () => {
    assert.equal(new grpc.LinuxMemory().Limit, 0n);
    assert.equal(grpc.LinuxMemory.decode(new Uint8Array()).Swappiness, 0n);
  });

  it('are null where an optional one was left out and 0n where it was sent as zero', () => {
    assert.equal(grpc.MemAgentMemcgConfig.decode(new Uint8Array()).periodSecs, null);
    const sent = grpc.MemAgentMemcgConfig.encode({ periodSecs: 0n }).finish();
    assert.deepEqual([...sent], [0x20, 0]);
    assert.equal(grpc.MemAgentMemcgConfig.decode(sent).periodSecs, 0n);
  });

  it('are not written where they are zero', () => {
    assert.equal(grpc.LinuxMemory.encode({ Limit: 0n }).finish().length, 0);
  });

  it('go through repeated and map fields, packed or not', () => {
    const values = [0n, 1n, 2n ** 53n + 1n, RLIM_INFINITY];
    assert.deepEqual(grpc.CpuUsage.decode(grpc.CpuUsage.encode({ percpuUsage: values }).finish()).percpuUsage, values);
    const unpacked = protobuf.Writer.create().uint32(16).uint64('18446744073709551615').uint32(16).uint64(7).finish();
    assert.deepEqual(grpc.CpuUsage.decode(unpacked).percpuUsage, [RLIM_INFINITY, 7n]);
    const stats = { anon: 2n ** 60n + 1n, file: 0n };
    assert.deepEqual({ ...grpc.MemoryStats.decode(grpc.MemoryStats.encode({ stats }).finish()).stats }, stats);
  });

  it('keep every value of their range', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: INT64_MIN, max: INT64_MAX }),
        fc.bigInt({ min: 0n, max: RLIM_INFINITY }),
        (signed, unsigned) => {
          assert.equal(fromInt64(toInt64(signed)), signed);
          assert.equal(fromUint64(toUint64(unsigned)), unsigned);
          const bytes = grpc.ResizeVolumeRequest.encode({ size: unsigned }).finish();
          assert.equal(grpc.ResizeVolumeRequest.decode(bytes).size, unsigned);
          const date = grpc.SetGuestDateTimeRequest.encode({ Sec: signed }).finish();
          assert.equal(grpc.SetGuestDateTimeRequest.decode(date).Sec, signed);
        },
      ),
    );
  });

  for (const { title, value } of [
    { title: 'a negative number', value: -1n },
    { title: 'a number of 65 bits', value: 2n ** 64n },
  ]) {
    it(`refuse ${title} where it does not fit, and do not wrap round`, () => {
      assert.throws(() => grpc.ResizeVolumeRequest.encode({ size: value }), RangeError);
    });
  }
});

describe('generated messages', () => {
  it('keep a map key named __proto__ as data', () => {
    const bytes = grpc.Spec.encode({
      Annotations: Object.defineProperty({}, '__proto__', { value: 'x', enumerable: true }),
    }).finish();
    const spec = grpc.Spec.decode(bytes);
    assert.equal(Object.getOwnPropertyDescriptor(spec.Annotations, '__proto__')?.value, 'x');
    assert.equal(({} as Record<string, unknown>)['x'], undefined);
    assert.equal(Object.getPrototypeOf({}), Object.prototype);
  });

  it('refuse nested groups deeper than a hundred', () => {
    const nested = Buffer.alloc(10_000, 0x0b);
    assert.throws(() => grpc.Spec.decode(nested), /max depth/);
  });

  it('decode bytes without a copy', () => {
    const input = Buffer.from(grpc.WriteStreamRequest.encode({ data: Buffer.alloc(1000, 1) }).finish());
    assert.equal(grpc.WriteStreamRequest.decode(input).data?.buffer, input.buffer);
  });
});
