// CopyFile as a host frames it, and the codes of its refusals.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { grpc } from '#proto/kata.js';
import { fileMethods } from '../../../../agent/api/kata/files.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { FileCopier } from '../../../../agent/guest/files/file-copier.ts';
import { native } from '../../../../native/index.ts';
import { callMethod } from './call-method.ts';

describe('CopyFile', () => {
  let share: string;

  beforeEach(async () => {
    share = await mkdtemp(join(tmpdir(), 'berth-share-'));
  });
  afterEach(() => rm(share, { recursive: true }));

  const copy = (request: grpc.CopyFileRequest.$Properties) =>
    callMethod(
      fileMethods(new FileCopier({ root: share, door: native() })),
      'CopyFile',
      grpc.CopyFileRequest.encode({ fileMode: 0o100600, uid: -1, gid: -1, ...request }).finish(),
    );

  it('puts a file together from its pieces', async () => {
    const methods = fileMethods(new FileCopier({ root: share, door: native() }));
    const bytes = Buffer.alloc(3_000_000, 'abc');
    for (let offset = 0; offset < bytes.length; offset += 1 << 20) {
      const data = bytes.subarray(offset, offset + (1 << 20));
      const request = { path: join(share, 'a/b'), fileMode: 0o100600, dirMode: 0o700, uid: -1, gid: -1, data };
      const sent = { ...request, fileSize: BigInt(bytes.length), offset: BigInt(offset) };
      await callMethod(methods, 'CopyFile', grpc.CopyFileRequest.encode(sent).finish());
    }
    assert.ok(bytes.equals(await readFile(join(share, 'a/b'))));
  });

  for (const [title, request, code] of [
    ['a path outside', { path: '/run/kata-containers/shared/foo' }, 'internal'],
    ['no path', {}, 'internal'],
    ['a link that leads out', { path: 'SHARE/link/x' }, 'internal'],
    ['a size above 2^53', { path: 'SHARE/x', fileSize: 2n ** 53n + 1n }, 'invalid_argument'],
    ['a negative offset', { path: 'SHARE/x', fileSize: 1n, offset: -1n }, 'invalid_argument'],
  ] as const) {
    it(`answers ${title} with ${code}`, async () => {
      await symlink('/etc', join(share, 'link'));
      const path = 'path' in request ? request.path.replace('SHARE', share) : '';
      await assert.rejects(copy({ ...request, path }), (error) => hasCode(error, code));
    });
  }
});
