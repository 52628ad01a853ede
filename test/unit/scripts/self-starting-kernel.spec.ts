import assert from 'node:assert/strict';
import { selfStartingKernel } from '../../../scripts/image/self-starting-kernel.ts';

const SETUP_BYTES = 5 * 512;

/** The header fields that matter, before so many bytes of kernel. */
function kernelOf(bytes: number): Buffer {
  const kernel = Buffer.alloc(SETUP_BYTES + bytes, 0x90);
  kernel.fill(0, 0, SETUP_BYTES);
  kernel[0x1f1] = 4;
  kernel.write('HdrS', 0x202, 'latin1');
  kernel[0x211] = 1;
  kernel.writeUInt32LE(0x100000, 0x214);
  kernel.writeBigUInt64LE(0x1000000n, 0x258);
  return kernel;
}

describe('a kernel that carries its initramfs', () => {
  it('has it where the header says a boot loader will have put it', () => {
    const initramfs = Buffer.from('stage one');
    const joined = selfStartingKernel(kernelOf(10_000), initramfs);
    const address = joined.readUInt32LE(0x218);
    const offset = SETUP_BYTES + address - 0x100000;
    assert.equal(joined.readUInt32LE(0x21c), initramfs.length);
    assert.equal(joined.toString('latin1', offset, offset + initramfs.length), 'stage one');
    assert.equal(address % 4096, 0);
    assert.equal((joined.length - SETUP_BYTES) / 16, joined.readUInt32LE(0x1f4));
  });

  it('leaves the memory behind the kernel to its decompressor', () => {
    const joined = selfStartingKernel(kernelOf(10_000), Buffer.alloc(100));
    assert.ok(joined.readUInt32LE(0x218) - 0x100000 >= 10_000 + 1_048_576);
  });

  it('changes no byte of the kernel but the three fields', () => {
    const kernel = kernelOf(10_000);
    const joined = selfStartingKernel(kernel, Buffer.alloc(100));
    const back = Buffer.from(joined.subarray(0, kernel.length));
    back.fill(0, 0x1f4, 0x1f8);
    back.fill(0, 0x218, 0x220);
    assert.deepEqual(back, kernel);
  });

  it('is refused where the two would reach the address the kernel unpacks itself to', () => {
    assert.throws(() => selfStartingKernel(kernelOf(12_000_000), Buffer.alloc(3_000_000)), /unpacks itself/);
  });

  it('is refused for what is no bzImage', () => {
    assert.throws(() => selfStartingKernel(Buffer.alloc(4096), Buffer.alloc(1)), /no bzImage/);
    const low = kernelOf(1000);
    low[0x211] = 0;
    assert.throws(() => selfStartingKernel(low, Buffer.alloc(1)), /not loaded at 1 MiB/);
  });
});
