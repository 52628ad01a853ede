// berth.v1.Files: read, written, listed, moved, packed, watched; in containers and in the guest itself.
import type { Method } from '../../rpc/service.ts';
import type { FileMethodOptions } from './file-method-options.ts';
import { namesMethods } from './files-names.ts';
import { readMethod } from './files-read.ts';
import { tarMethods } from './files-tar.ts';
import { watchMethod } from './files-watch.ts';
import { writeMethod } from './files-write.ts';

export function fileMethods(options: FileMethodOptions): Method[] {
  return [readMethod(options), writeMethod(options), ...namesMethods(options), ...tarMethods(options), watchMethod(options)];
}
