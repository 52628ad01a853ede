// Makes a root image a disk with one partition as well, for hosts that name it /dev/vda1 or /dev/pmem0p1 (Kata's do). EROFS
// leaves the first 1024 bytes of an image to a boot loader, so the table fits in front of the superblock, and the partition is the
// whole disk: the same file serves as a file system, as a disk and as an NVDIMM, and costs nothing.
import { open } from 'node:fs/promises';

const SECTOR_BYTES = 512;
/** What an NVDIMM's size has to be a multiple of (a huge page, which QEMU's memory backends and Linux align to). */
export const IMAGE_ALIGNMENT_BYTES = 2 * 1024 * 1024;
/** Partition type of any Linux file system. */
const TYPE_LINUX = 0x83;
/** Cylinder, head and sector of an address that does not fit them. */
const NO_CHS = [0xfe, 0xff, 0xff];

/** A master boot record with one partition from the first sector to the last. @param bytes a multiple of 512 below 2 TiB */
export function masterBootRecord(bytes: number): Buffer {
  const sectors = bytes / SECTOR_BYTES;
  if (!Number.isInteger(sectors) || sectors < 1 || sectors > 0xffffffff) throw new RangeError(`a disk of ${bytes} bytes`);
  const record = Buffer.alloc(SECTOR_BYTES);
  record.write('brth', 440, 'latin1'); // the disk's signature
  const entry = record.subarray(446, 462);
  entry.set([0x00, ...NO_CHS, TYPE_LINUX, ...NO_CHS]);
  entry.writeUInt32LE(0, 8);
  entry.writeUInt32LE(sectors, 12);
  record.writeUInt16LE(0xaa55, 510);
  return record;
}

/** Pads the EROFS image to the alignment and writes the table into its first sector. */
export async function addBootSector(image: string): Promise<void> {
  const file = await open(image, 'r+');
  try {
    const { size } = await file.stat();
    const padded = Math.ceil(size / IMAGE_ALIGNMENT_BYTES) * IMAGE_ALIGNMENT_BYTES;
    await file.truncate(padded);
    await file.write(masterBootRecord(padded), 0, SECTOR_BYTES, 0);
  } finally {
    await file.close();
  }
}
