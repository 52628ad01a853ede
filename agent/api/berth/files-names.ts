// What berth.v1.Files does with names: stat, list, make, move, remove.
import { berth } from '#proto/berth.js';
import type { FileRoot } from '../../guest/files/file-root.ts';
import { listDirectory } from '../../guest/files/list-directory.ts';
import { makeDirectory, removePath, renamePath } from '../../guest/files/names.ts';
import type { Method } from '../../rpc/service.ts';
import { fileMessage, toMode, toPlace } from './file-message.ts';
import type { FileMethodOptions } from './file-method-options.ts';
import { onlyOne } from './files-read.ts';
import { berthService } from './method.ts';

const v1 = berth.v1;
const DEFAULT_MODE = 0o755;

export function namesMethods({ roots, clients }: FileMethodOptions): Method[] {
  const { unary, duplex } = berthService('Files', clients);
  const within = <T>(
    place: berth.v1.FilePath.$Properties | null | undefined,
    signal: AbortSignal,
    work: (root: FileRoot, path: string) => Promise<T>,
  ): Promise<T> => {
    const { containerId, path } = toPlace(place, 'path');
    return roots.use(containerId, signal, ({ root }) => work(root, path));
  };
  return [
    unary('Stat', v1.StatRequest, v1.FileInfo, (request, { signal }) =>
      within(request.path, signal, async (root, path) => fileMessage(await root.stat(path, request.noFollow))),
    ),
    duplex('List', v1.ListFilesRequest, v1.ListFilesResponse, async ({ requests, send }, call) => {
      const { path } = await onlyOne(requests);
      const { containerId, path: directory } = toPlace(path, 'path');
      await roots.use(containerId, call.signal, async ({ root, signal }) => {
        for await (const entries of listDirectory(root, directory, signal)) await send({ entries: entries.map(fileMessage) });
      });
    }),
    unary('MakeDirectory', v1.MakeDirectoryRequest, v1.FileInfo, (request, { signal }) => {
      const { makeParents, uid, gid } = request;
      const mode = toMode(request.mode, DEFAULT_MODE);
      return within(request.path, signal, async (root, path) =>
        fileMessage(await makeDirectory(root, path, { mode, makeParents, uid, gid })),
      );
    }),
    unary('Rename', v1.RenameRequest, v1.FileInfo, ({ from, to, noReplace }, { signal }) =>
      within(from, signal, async (root, path) => fileMessage(await renamePath(root, path, to, noReplace))),
    ),
    unary('Remove', v1.RemoveRequest, v1.RemoveResponse, ({ path, recursive, missingOk }, { signal }) =>
      within(path, signal, async (root, target) => {
        await removePath(root, target, { recursive, missingOk });
        return {};
      }),
    ),
  ];
}
