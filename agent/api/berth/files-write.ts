// berth.v1.Files/Write: a file that appears whole or not at all, and whose upload survives the connection.
import { berth } from '#proto/berth.js';
import { AgentError } from '../../errors.ts';
import { type Upload, type UploadRequest, Uploads } from '../../guest/files/uploads.ts';
import type { Method } from '../../rpc/service.ts';
import { eachUnlessAborted } from '../../unless-aborted.ts';
import { fileMessage, toMode, toPlace, toSize } from './file-message.ts';
import type { FileMethodOptions } from './file-method-options.ts';
import { berthService } from './method.ts';
import { refuse } from './process-ref.ts';

const v1 = berth.v1;
/** How far a client may be from what it has been told. */
const TOLD_EACH_BYTES = 512 * 1024;
const MAX_KEY_BYTES = 128;
const DEFAULT_MODE = 0o644;
const SHA256_BYTES = 32;

type Send = (message: berth.v1.WriteFileResponse.$Properties) => Promise<void>;
type Messages = AsyncIterator<berth.v1.WriteFileRequest>;

export function writeMethod({ roots, clients }: FileMethodOptions): Method {
  const { duplex } = berthService('Files', clients);
  const uploads = new Uploads();
  return duplex('Write', v1.WriteFileRequest, v1.WriteFileResponse, async ({ requests, send }, { signal: callSignal }) => {
    const messages = requests[Symbol.asyncIterator]();
    const request = await beginOf(messages);
    const left = new AbortController();
    const signal = AbortSignal.any([callSignal, left.signal]);
    await roots.use(request.containerId, signal, async ({ root, signal: rootSignal, ended }) => {
      const upload = await uploads.begin(root, request, { takenOver: (reason) => left.abort(reason), ended });
      if ('facts' in upload && upload.facts !== undefined) {
        return await send({ offset: upload.facts.size, info: fileMessage(upload.facts) });
      }
      await receive(upload as Upload, { messages, send, signal: rootSignal }).then(
        () => uploads.leave(upload as Upload, { keep: true }),
        async (error: unknown) => {
          await uploads.leave(upload as Upload, { keep: signal.aborted });
          throw error;
        },
      );
    });
  });
}

async function beginOf(messages: Messages): Promise<UploadRequest> {
  const first = await messages.next();
  const begin = first.done ? undefined : first.value.begin;
  if (!begin)
    throw new AgentError('invalid_argument', 'the first message of Write must be `begin`', { fields: { field: 'begin' } });
  const key = begin.key ?? '';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) refuse('begin.key', `more than ${MAX_KEY_BYTES} bytes`);
  return {
    ...toPlace(begin.path, 'begin.path'),
    mode: toMode(begin.mode, DEFAULT_MODE),
    uid: begin.uid ?? 0,
    gid: begin.gid ?? 0,
    makeParents: begin.makeParents ?? false,
    exclusive: begin.exclusive ?? false,
    key,
  };
}

interface Receiving {
  readonly messages: Messages;
  readonly send: Send;
  readonly signal: AbortSignal;
}

/** Takes chunks until the file is finished, or until the client has nothing more to say. */
async function receive(upload: Upload, { messages, send, signal }: Receiving): Promise<void> {
  // Not awaited: the next bytes need not wait for this one.
  const tell = () => void send({ offset: BigInt(upload.received) }).catch(() => {});
  tell();
  let told = upload.received;
  for await (const { chunk, finish, abandon } of eachUnlessAborted(messages, signal)) {
    if (abandon) throw new AgentError('cancelled', 'the client has given the upload up');
    if (finish) {
      const sha256 = finish.sha256 ?? new Uint8Array(0);
      if (sha256.length !== 0 && sha256.length !== SHA256_BYTES) refuse('finish.sha256', `${sha256.length} bytes`);
      const size = toSize(finish.size, 'finish.size');
      const facts = await upload.finish({ sha256, size, durable: finish.durable ?? false });
      return await send({ offset: BigInt(upload.received), info: fileMessage(facts) });
    }
    if (!chunk) throw new AgentError('invalid_argument', 'a message of Write after the first is empty or `begin` again');
    await upload.write(toSize(chunk.offset, 'chunk.offset'), chunk.data ?? new Uint8Array(0));
    signal.throwIfAborted();
    if (upload.received - told < TOLD_EACH_BYTES) continue;
    told = upload.received;
    tell();
  }
}
