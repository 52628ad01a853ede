// What is told of a file. Pure.
import type { BigIntStats } from 'node:fs';

export type FileType = 'regular' | 'directory' | 'symlink' | 'other';

export interface FileFacts {
  readonly name: string;
  readonly type: FileType;
  /** Bytes. */
  readonly size: bigint;
  /** 07777 */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedNs: bigint;
  /** Of a link, as it stands there. */
  readonly linkTarget: string;
  /** Of this content of this file. */
  readonly identity: string;
}

export function factsOf(name: string, stats: BigIntStats, linkTarget = ''): FileFacts {
  return {
    name,
    type: typeOf(stats),
    size: stats.size,
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    modifiedNs: stats.mtimeNs,
    linkTarget,
    identity: identityOf(stats),
  };
}

/** Changes with the inode, the size or the time of change (man 7 inode). */
export function identityOf({ dev, ino, size, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, ctimeNs].map((part) => part.toString(36)).join('-');
}

export function typeOf(stats: Pick<BigIntStats, 'isFile' | 'isDirectory' | 'isSymbolicLink'>): FileType {
  if (stats.isFile()) return 'regular';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'symlink' : 'other';
}
