// A piece of a file, a directory or a link to be put into the guest, and its checks. Pure.
import { AgentError } from '../../errors.ts';

export interface CopyRequest {
  readonly path: string;
  /** Of the whole file, bytes. */
  readonly fileSize: number;
  /** Type and permissions (man 7 inode). */
  readonly fileMode: number;
  /** Of parent directories that are missing. */
  readonly dirMode: number;
  /** -1 leaves it. */
  readonly uid: number;
  readonly gid: number;
  /** Where `data` belongs in the file. */
  readonly offset: number;
  /** The piece, or the target of a link. */
  readonly data: Uint8Array;
}

export type CopiedType = 'file' | 'directory' | 'link';

/** man 7 inode, "The file type and mode". No type at all is a file, as clients leave it out. */
const TYPE_MASK = 0o170000;
const TYPES: ReadonlyMap<number, CopiedType> = new Map([
  [0, 'file'],
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'link'],
]);
/** man 3 limits.h, PATH_MAX with its NUL. */
const MAX_TARGET_BYTES = 4095;

/** @throws invalid_argument for devices, sockets and pipes */
export function fileType(mode: number): CopiedType {
  const type = TYPES.get(mode & TYPE_MASK);
  if (type !== undefined) return type;
  throw invalid('file_mode', `0${mode.toString(8)} is neither a file nor a directory nor a link`);
}

/** All that can be told without the file system. @throws invalid_argument naming the field */
export function checkRequest(request: CopyRequest): void {
  const { fileSize, offset, data, uid, gid } = request;
  const type = fileType(request.fileMode);
  if (uid < -1) throw invalid('uid', `${uid} is no user id`);
  if (gid < -1) throw invalid('gid', `${gid} is no group id`);
  if (type === 'link') checkTarget(data);
  if (type !== 'file') return;
  if (!Number.isSafeInteger(fileSize) || fileSize < 0) throw invalid('file_size', `${fileSize} is no size of a file`);
  if (!Number.isSafeInteger(offset) || offset < 0) throw invalid('offset', `${offset} is no place in a file`);
  if (offset + data.length > fileSize) {
    throw invalid('offset', `${data.length} bytes at ${offset} reach beyond the file's ${fileSize}`);
  }
}

function checkTarget(target: Uint8Array): void {
  if (target.length === 0) throw invalid('data', 'a link has no target');
  if (target.length > MAX_TARGET_BYTES) throw invalid('data', `a link's target has more than ${MAX_TARGET_BYTES} bytes`);
  if (target.includes(0)) throw invalid('data', "a link's target holds a NUL character");
}

function invalid(field: string, problem: string): AgentError {
  return new AgentError('invalid_argument', `${field}: ${problem}`, { fields: { field } });
}
