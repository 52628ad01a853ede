// Writes a cpio archive in the "newc" format (cpio(5); the kernel's Documentation/driver-api/early-userspace): what an
// initramfs is. The bytes depend on the entries alone: sorted by path, time stamps zero, owner root, inodes counted.

export type CpioEntry =
  | { path: string; type: 'directory'; mode?: number }
  | { path: string; type: 'file'; content: Uint8Array; mode?: number }
  | { path: string; type: 'link'; target: string }
  | { path: string; type: 'character'; major: number; minor: number; mode?: number };

const TYPE_BITS = { directory: 0o040000, file: 0o100000, link: 0o120000, character: 0o020000 } as const;
const DEFAULT_MODE = { directory: 0o755, file: 0o644, link: 0o777, character: 0o600 } as const;
const TRAILER = 'TRAILER!!!';

/** @param entries with paths relative to the root, without a leading slash; a folder must be given before use is made of it */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const parts: Buffer[] = [];
  sorted.forEach((entry, index) => {
    checkPath(entry.path, sorted[index - 1]?.path);
    const content = entry.type === 'file' ? Buffer.from(entry.content) : Buffer.from(entry.type === 'link' ? entry.target : '');
    const mode = TYPE_BITS[entry.type] | (('mode' in entry ? entry.mode : undefined) ?? DEFAULT_MODE[entry.type]);
    const links = entry.type === 'directory' ? 2 : 1;
    const [major, minor] = entry.type === 'character' ? [entry.major, entry.minor] : [0, 0];
    parts.push(header([index + 1, mode, 0, 0, links, 0, content.length, 0, 0, major, minor], entry.path), padded(content));
  });
  parts.push(header([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], TRAILER));
  return Buffer.concat(parts);
}

function checkPath(path: string, previous: string | undefined): void {
  if (path === previous) throw new Error(`cpio: ${path} is given twice`);
  if (path === '' || path.startsWith('/') || path === TRAILER || path.split('/').some((part) => part === '' || part === '..')) {
    throw new Error(`cpio: ${JSON.stringify(path)} is no path below the root`);
  }
}

/** Fields in the order of the format, less the name's size and the checksum; header and name together end on 4 bytes. */
function header(fields: readonly number[], path: string): Buffer {
  const name = Buffer.from(`${path}\0`);
  const digits = [...fields, name.length, 0].map((value) => {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
      throw new Error(`cpio: ${path}: ${value} does not fit 32 bits`);
    return value.toString(16).padStart(8, '0');
  });
  return padded(Buffer.concat([Buffer.from(`070701${digits.join('')}`), name]));
}

function padded(bytes: Buffer): Buffer {
  const gap = -bytes.length & 3;
  return gap === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(gap)]);
}
