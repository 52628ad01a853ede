// One gRPC call with a stream on either side, on Node's http2. What is not read stays with the agent, held back by HTTP/2's own windows.
import http2 from 'node:http2';
import { AgentError } from '../../agent/errors.ts';
import { errorOf } from '../../agent/rpc/status.ts';
import type { RpcStream } from './channel.ts';
import { MessageReader, withPrefix } from './grpc-frames.ts';
import { GrpcStatus } from './grpc-status.ts';

export interface GrpcStreamOptions {
  readonly method: string;
  readonly signal?: AbortSignal | undefined;
  /** The error for a call whose connection is lost. */
  readonly lost: (text: string) => AgentError;
}

export function grpcStream(stream: http2.ClientHttp2Stream, { method, signal, lost }: GrpcStreamOptions): RpcStream {
  const status = new GrpcStatus();
  let failure: AgentError | undefined;
  let draining: Promise<void> | undefined;
  const cancel = (reason?: unknown) => {
    failure ??= new AgentError('cancelled', `${method}: cancelled`, { cause: reason, fields: { method } });
    stream.close(http2.constants.NGHTTP2_CANCEL);
    // What has come and is not read would keep it from closing.
    stream.destroy();
  };
  const onAbort = () => cancel(signal?.reason);
  const closed = new Promise<void>((resolve) => stream.once('close', resolve));
  stream.on('response', (headers) => status.onHeaders(headers));
  stream.on('trailers', (headers) => status.onHeaders(headers));
  // 'close' follows, and whoever reads or sends hears of it there.
  stream.on('error', () => {});
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  void closed.then(() => signal?.removeEventListener('abort', onAbort));

  const ending = (): AgentError | undefined => {
    if (failure !== undefined) return failure;
    if (status.received === undefined) return lost(status.whyNone ?? 'the connection to the agent was lost');
    return status.received.code === 0 ? undefined : errorOf(status.received, method);
  };

  async function* messages(): AsyncGenerator<Buffer> {
    const reader = new MessageReader();
    let over = false;
    try {
      for await (const chunk of stream.iterator({ destroyOnReturn: false })) yield* reader.push(chunk as Buffer);
      over = true;
    } catch (error) {
      if (error instanceof AgentError) throw error;
      // A stream that was reset throws here; why is told below.
      over = true;
    } finally {
      // The reader has left.
      if (!over) cancel();
    }
    // The agent has ended the call; our side may still be open.
    stream.close();
    await closed;
    const error = ending();
    if (error !== undefined) throw error;
    if (!reader.empty) throw new AgentError('internal', `${method}: the last message is not whole`, { fields: { method } });
  }

  return {
    send: async (message) => {
      if (stream.closed || stream.destroyed || !stream.writable) throw ending() ?? lost('the call has ended');
      if (stream.write(withPrefix(message))) return;
      draining ??= Promise.race([new Promise<void>((resolve) => stream.once('drain', resolve)), closed]).finally(() => {
        draining = undefined;
      });
      await draining;
    },
    end: () => void stream.end(),
    cancel,
    [Symbol.asyncIterator]: messages,
  };
}
