// Kata's RPC that puts files into the guest, for hosts without a shared file system.
import { google, grpc } from '#proto/kata.js';
import type { FileCopier } from '../../guest/files/file-copier.ts';
import type { Method } from '../../rpc/service.ts';
import { kataMethod } from './method.ts';

const { Empty } = google.protobuf;
const rules = { systemError: 'internal' } as const;

export function fileMethods(files: FileCopier): Method[] {
  return [
    kataMethod(
      'CopyFile',
      grpc.CopyFileRequest,
      Empty,
      async (request) => {
        const { path, fileMode, dirMode, uid, gid, data } = request;
        // A number that is not exact is beyond what the copier takes.
        const [fileSize, offset] = [Number(request.fileSize), Number(request.offset)];
        await files.copy({ path, fileSize, fileMode, dirMode, uid, gid, offset, data });
        return {};
      },
      rules,
    ),
  ];
}
