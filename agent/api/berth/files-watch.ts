// berth.v1.Files/Watch: changes below a directory.
import { berth } from '#proto/berth.js';
import { type Change, type ChangeKind, TreeWatch } from '../../guest/files/watch-tree.ts';
import type { Method } from '../../rpc/service.ts';
import { toPlace } from './file-message.ts';
import type { FileMethodOptions } from './file-method-options.ts';
import { onlyOne } from './files-read.ts';
import { berthService } from './method.ts';

const v1 = berth.v1;
const { Kind } = v1.FileChange;
/** In one message. */
const MAX_CHANGES = 256;

const KINDS: Readonly<Record<ChangeKind, berth.v1.FileChange.Kind>> = {
  created: Kind.KIND_CREATED,
  modified: Kind.KIND_MODIFIED,
  removed: Kind.KIND_REMOVED,
  moved: Kind.KIND_MOVED,
  attributes: Kind.KIND_ATTRIBUTES,
  overflow: Kind.KIND_OVERFLOW,
  watching: Kind.KIND_WATCHING,
  gone: Kind.KIND_GONE,
};

export function watchMethod({ roots, clients }: FileMethodOptions): Method {
  const { duplex } = berthService('Files', clients);
  return duplex('Watch', v1.WatchFilesRequest, v1.WatchFilesResponse, async ({ requests, send }, call) => {
    const { path, recursive } = await onlyOne(requests);
    const { containerId, path: watched } = toPlace(path, 'path');
    await roots.use(containerId, call.signal, async ({ root, signal }) => {
      const watch = await TreeWatch.start(root, watched, { recursive });
      try {
        for await (const changes of watch.changes(signal)) {
          for (let from = 0; from < changes.length; from += MAX_CHANGES) {
            await send({ changes: changes.slice(from, from + MAX_CHANGES).map(changeMessage) });
          }
        }
      } finally {
        watch.close();
      }
    });
  });
}

function changeMessage({ kind, to = '', ...change }: Change): berth.v1.FileChange.$Properties {
  return { ...change, kind: KINDS[kind], to };
}
