// What is told of a file in a guest.
import { berth } from '#proto/berth.js';

const { Type } = berth.v1.FileInfo;

/** What kind of file it is. */
export type FileType = 'regular' | 'directory' | 'symlink' | 'other';

/** What a file is, as lstat(2) tells. */
export interface FileInfo {
  /** The last component of its path. */
  readonly name: string;
  /** `other` is a device, a pipe, a socket. */
  readonly type: FileType;
  /** Bytes. */
  readonly size: bigint;
  /** Permission bits, set-id and sticky included: 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modified: Date;
  /** Of a link, as it stands there. */
  readonly linkTarget?: string;
  /** Of this content of this file: another when it has changed. */
  readonly identity: string;
}

const TYPES: Readonly<Record<number, FileType>> = {
  [Type.TYPE_REGULAR]: 'regular',
  [Type.TYPE_DIRECTORY]: 'directory',
  [Type.TYPE_SYMLINK]: 'symlink',
};

export function toFileInfo(info: berth.v1.FileInfo.$Properties): FileInfo {
  return {
    name: info.name ?? '',
    type: TYPES[info.type ?? 0] ?? 'other',
    size: info.size ?? 0n,
    mode: info.mode ?? 0,
    uid: info.uid ?? 0,
    gid: info.gid ?? 0,
    modified: new Date(Number((info.modifiedUnixNs ?? 0n) / 1_000_000n)),
    ...(info.linkTarget ? { linkTarget: info.linkTarget } : {}),
    identity: info.identity ?? '',
  };
}
