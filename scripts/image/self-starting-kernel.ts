// Joins an x86 kernel and a small initramfs in one file, for hosts that give a kernel and a disk but no initramfs (Kata's `image`),
// where Debian's kernel, whose drivers are modules, could not mount its root.
//
// A boot loader puts what follows the setup sectors at 1 MiB, in one piece, and leaves the header's ramdisk fields as they are unless
// it has an initramfs of its own (Linux, Documentation/arch/x86/boot.rst; QEMU's hw/i386/x86.c). So the initramfs goes to the end of the file
// and the header says where that will lie. The kernel unpacks itself above it and keeps off it when it chooses its own place.

const SECTOR_BYTES = 512;
const ALIGNMENT_BYTES = 4096;
/**
 * Memory right behind the kernel that it uses before it has moved itself: heap, stack and page tables of its decompressor, which are no
 * part of the file (arch/x86/boot/compressed/head_64.S; some 300 KiB).
 */
const DECOMPRESSOR_BYTES = 1_048_576;
/** Room for the seed or device tree that a loader puts behind the file. */
const SETUP_DATA_BYTES = 65_536;
const MAGIC = 0x53726448; // HdrS
/** Where the fields lie (boot.rst, "The Real-Mode Kernel Header"). */
const FIELD = {
  setupSectors: 0x1f1,
  systemSize: 0x1f4,
  magic: 0x202,
  loadFlags: 0x211,
  code32Start: 0x214,
  ramdiskImage: 0x218,
  ramdiskSize: 0x21c,
  preferredAddress: 0x258,
} as const;
const LOADED_HIGH = 1;

/** @throws when the kernel is no bzImage or the two together would reach the address where the kernel unpacks itself */
export function selfStartingKernel(kernel: Buffer, initramfs: Buffer): Buffer {
  if (kernel.length < 0x268 || kernel.readUInt32LE(FIELD.magic) !== MAGIC) throw new Error('the kernel is no bzImage');
  if ((kernel[FIELD.loadFlags]! & LOADED_HIGH) === 0) throw new Error('the kernel is not loaded at 1 MiB');
  const setupBytes = ((kernel[FIELD.setupSectors] || 4) + 1) * SECTOR_BYTES;
  const start = kernel.readUInt32LE(FIELD.code32Start);
  const at = Math.ceil((kernel.length - setupBytes + DECOMPRESSOR_BYTES) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  const limit = Number(kernel.readBigUInt64LE(FIELD.preferredAddress));
  if (start + at + initramfs.length + SETUP_DATA_BYTES > limit) {
    throw new Error(`the initramfs of ${initramfs.length} bytes would reach ${limit}, where the kernel unpacks itself`);
  }
  const joined = Buffer.alloc(setupBytes + Math.ceil((at + initramfs.length) / 16) * 16);
  kernel.copy(joined);
  initramfs.copy(joined, setupBytes + at);
  joined.writeUInt32LE((joined.length - setupBytes) / 16, FIELD.systemSize);
  joined.writeUInt32LE(start + at, FIELD.ramdiskImage);
  joined.writeUInt32LE(initramfs.length, FIELD.ramdiskSize);
  return joined;
}
