// berth.v1.Files/Read: the content of a file, at the pace of the client and in its turns.
import { berth } from '#proto/berth.js';
import { AgentError } from '../../errors.ts';
import { Content } from '../../guest/files/content.ts';
import { factsOf } from '../../guest/files/file-facts.ts';
import type { Method } from '../../rpc/service.ts';
import { BulkSender } from '../../sandbox/bulk-sender.ts';
import { bulkEncoder, fileMessage, HEADROOM_BYTES, toPlace, toSize } from './file-message.ts';
import type { FileMethodOptions } from './file-method-options.ts';
import { berthService } from './method.ts';

const v1 = berth.v1;

/** Fields 2 and 3 of ReadFileResponse. */
const response = bulkEncoder<berth.v1.ReadFileResponse.$Properties>(
  v1.ReadFileResponse,
  { offset: 0x10, data: 0x1a },
  ({ offset = 0, data }) => ({ offset: BigInt(offset), data }),
);

export function readMethod({ roots, clients, turns }: FileMethodOptions): Method {
  const { duplex } = berthService('Files', clients);
  return duplex('Read', v1.ReadFileRequest, response, async ({ requests, send }, { caller, signal: callSignal }) => {
    const request = await onlyOne(requests);
    const { containerId, path } = toPlace(request.path, 'path');
    const offset = toSize(request.offset, 'offset');
    const length = request.length === 0n ? undefined : toSize(request.length, 'length');
    await roots.use(containerId, callSignal, async ({ root, signal }) => {
      await using file = await root.openFile(path);
      const content = await Content.open(file, path, request.identity);
      const info = fileMessage(factsOf(nameOf(path), content.stats));
      void send({ kind: 'told', message: { info } }).catch(() => {});
      using bulk = new BulkSender({ turns, clientId: caller.id, signal, send });
      const wanted = { offset, length, mayChange: request.mayChange, headroom: HEADROOM_BYTES, signal };
      for await (const piece of content.pieces(wanted)) {
        if (request.digestOnly) continue;
        // What has been sent of a piece lies before the rest of it and is still on its way: only the first part has room.
        await bulk.send(piece.data, (data, from) => ({
          kind: 'data',
          offset: piece.offset + from,
          data,
          room: from === 0 ? HEADROOM_BYTES : 0,
        }));
      }
      await send({ kind: 'told', message: { sha256: content.digest() } });
    });
  });
}

export async function onlyOne<T>(requests: AsyncIterable<T>): Promise<T> {
  for await (const request of requests) return request;
  throw new AgentError('invalid_argument', 'the call carries no request');
}

function nameOf(path: string): string {
  return (
    path
      .split('/')
      .filter((name) => name !== '' && name !== '.')
      .at(-1) ?? '/'
  );
}
