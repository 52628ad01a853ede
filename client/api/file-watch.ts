// Changes of files in a guest as one sequence, also over lost connections.
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import { type FilePlace, REOPEN_MS } from './file-content.ts';
import type { Link } from './link.ts';
import { FILES } from './methods.ts';

const { Kind } = berth.v1.FileChange;

/** Which changes are wanted. */
export interface WatchOptions {
  /** Directories below it too, also those that come later. Default false. */
  readonly recursive?: boolean;
  readonly signal?: AbortSignal;
}

/** What has happened to a file. */
export type FileChange =
  | { readonly kind: 'created' | 'modified' | 'removed' | 'attributes'; readonly path: string; readonly directory: boolean }
  | { readonly kind: 'moved'; readonly path: string; readonly to: string; readonly directory: boolean }
  /** Told first: changes are watched from now on. */
  | { readonly kind: 'watching' }
  /** Some changes were lost: anything below `path` may have changed. */
  | { readonly kind: 'overflow'; readonly path: string }
  /** What is watched was removed or moved away; the last. */
  | { readonly kind: 'gone' };

export async function* watchFiles(link: Link, path: FilePlace, options: WatchOptions): AsyncGenerator<FileChange> {
  const { recursive = false, signal } = options;
  for (let again = false; ; again = true) {
    const stream = await link.stream(FILES.watch, signal === undefined ? {} : { signal });
    try {
      await stream.send({ path, recursive });
      stream.end();
      for await (const { changes } of stream) for (const change of changes) yield toChange(change, again);
      return;
    } catch (error) {
      if (signal?.aborted) return;
      if (!link.mayResume(error)) throw error;
      await sleep(REOPEN_MS);
    }
  }
}

function toChange({ kind, path, to, directory }: berth.v1.FileChange.$Properties, again: boolean): FileChange {
  const where = { path: path ?? '', directory: directory ?? false };
  switch (kind) {
    case Kind.KIND_WATCHING:
      // What happened between two calls is not known.
      return again ? { kind: 'overflow', path: '' } : { kind: 'watching' };
    case Kind.KIND_OVERFLOW:
      return { kind: 'overflow', path: where.path };
    case Kind.KIND_GONE:
      return { kind: 'gone' };
    case Kind.KIND_MOVED:
      return { kind: 'moved', to: to ?? '', ...where };
    case Kind.KIND_CREATED:
      return { kind: 'created', ...where };
    case Kind.KIND_REMOVED:
      return { kind: 'removed', ...where };
    case Kind.KIND_ATTRIBUTES:
      return { kind: 'attributes', ...where };
    default:
      return { kind: 'modified', ...where };
  }
}
