// One member of a tar archive, and what both directions know of its form (POSIX.1-2001, pax, "ustar Interchange Format").

export const BLOCK_BYTES = 512;
/** Two blocks of zeros. */
export const END_BYTES = 2 * BLOCK_BYTES;

/** `link` is a hard link; `other` a device, a pipe, a sparse file: what nobody here makes. */
export type TarType = 'file' | 'directory' | 'symlink' | 'link' | 'other';

export interface TarEntry {
  /** As bytes: names need not be UTF-8. */
  readonly name: Buffer;
  readonly type: TarType;
  /** Bytes of content; 0 for all but files. */
  readonly size: number;
  /** 07777 */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly modified: number;
  /** Of a link. */
  readonly linkName: Buffer;
}

/** Fields of a header block: offset and length. */
export const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  modified: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 8],
  prefix: [345, 155],
} as const satisfies Record<string, readonly [number, number]>;

/** Bytes that fill up the last block of a content. */
export function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** The sum of a header's bytes, its own field counted as spaces. */
export function checksumOf(block: Buffer): number {
  let sum = 0;
  for (const byte of block) sum += byte;
  const [from, length] = FIELDS.checksum;
  for (const byte of block.subarray(from, from + length)) sum += 0x20 - byte;
  return sum;
}
