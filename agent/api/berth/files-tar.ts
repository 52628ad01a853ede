// berth.v1.Files/TarOut and TarIn: trees as tar archives.
import { createHash } from 'node:crypto';
import { berth } from '#proto/berth.js';
import { AgentError } from '../../errors.ts';
import { TreePacker } from '../../guest/files/pack-tree.ts';
import { readTar } from '../../guest/files/tar/reader.ts';
import { TreeUnpacker } from '../../guest/files/unpack-tree.ts';
import type { Method } from '../../rpc/service.ts';
import { BulkSender } from '../../sandbox/bulk-sender.ts';
import { eachUnlessAborted } from '../../unless-aborted.ts';
import { bulkEncoder, HEADROOM_BYTES, toPlace, toSize } from './file-message.ts';
import type { FileMethodOptions } from './file-method-options.ts';
import { onlyOne } from './files-read.ts';
import { berthService } from './method.ts';

const v1 = berth.v1;

/** Field 1 of TarOutResponse. */
const response = bulkEncoder<berth.v1.TarOutResponse.$Properties>(v1.TarOutResponse, { data: 0x0a }, ({ data }) => ({ data }));

export function tarMethods({ roots, clients, turns }: FileMethodOptions): Method[] {
  const { duplex } = berthService('Files', clients);
  return [
    duplex('TarOut', v1.TarOutRequest, response, async ({ requests, send }, { caller, signal: callSignal }) => {
      const { containerId, path } = toPlace((await onlyOne(requests)).path, 'path');
      await roots.use(containerId, callSignal, async ({ root, signal }) => {
        const packer = new TreePacker(HEADROOM_BYTES, signal);
        using bulk = new BulkSender({ turns, clientId: caller.id, signal, send });
        for await (const piece of packer.pack(root, path)) {
          await bulk.send(piece, (data, from) => ({ kind: 'data', data, room: from === 0 ? HEADROOM_BYTES : 0 }));
        }
        const { entries, bytes, skipped, sha256 } = packer.summary();
        const summary = { entries: BigInt(entries), bytes: BigInt(bytes), skipped: BigInt(skipped), sha256 };
        await send({ kind: 'told', message: { summary } });
      });
    }),
    duplex('TarIn', v1.TarInRequest, v1.TarInResponse, async ({ requests, send }, { signal: callSignal }) => {
      const messages = requests[Symbol.asyncIterator]();
      const first = await messages.next();
      const begin = first.done ? undefined : first.value.begin;
      if (!begin)
        throw new AgentError('invalid_argument', 'the first message of TarIn must be `begin`', { fields: { field: 'begin' } });
      const { containerId, path } = toPlace(begin.directory, 'begin.directory');
      await roots.use(containerId, callSignal, async ({ root, signal }) => {
        const owner = { uid: 0, gid: 0 };
        const directory = await root.directory(path, begin.makeParents ? owner : undefined);
        const unpacker = new TreeUnpacker(directory, root.door, {
          ...(begin.keepOwner ? {} : { owner }),
          names: root.names,
          keepSetId: begin.keepSetId ?? false,
          maxEntries: toSize(begin.maxEntries, 'begin.max_entries'),
          maxBytes: toSize(begin.maxBytes, 'begin.max_bytes'),
        });
        const hash = createHash('sha256');
        try {
          for await (const member of readTar(dataOf(messages, hash, signal))) await unpacker.unpack(member);
        } finally {
          unpacker.close();
          root.door.close(directory);
        }
        await send({ entries: BigInt(unpacker.entries), bytes: BigInt(unpacker.bytes), sha256: hash.digest() });
      });
    }),
  ];
}

async function* dataOf(
  messages: AsyncIterator<berth.v1.TarInRequest>,
  hash: { update(data: Uint8Array): unknown },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const { data } of eachUnlessAborted(messages, signal)) {
    if (!data) throw new AgentError('invalid_argument', 'a message of TarIn after the first has no data');
    hash.update(data);
    yield data;
  }
}
