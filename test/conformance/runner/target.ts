// The agent under test: one connection of one protocol, calls by name with plain values. Messages go through the tests' own codec.
import { isAgentError } from '../../../agent/errors.ts';
import type { RpcChannel } from '../../../client/rpc/channel.ts';
import { openChannel } from '../../../client/rpc/open-channel.ts';
import { type Decoded, decode } from '../../support/wire/decode.ts';
import { encode } from '../../support/wire/encode.ts';
import { AGENT_SERVICE, HEALTH_SERVICE, type MethodMessages, methodsOf } from '../../support/wire/schema.ts';
import type { CodeName, Protocol } from '../case.ts';
import type { Plain } from './expand.ts';

/** What came back: an answer or a status. */
export type Outcome =
  | { readonly reply: { readonly [name: string]: Decoded } }
  | { readonly code: CodeName | 'OTHER'; readonly text: string };

export interface Rpc extends MethodMessages {
  readonly service: string;
  readonly name: string;
}

/** The RPCs of both services, 42 and 2, by name. */
export const RPCS: ReadonlyMap<string, Rpc> = new Map(
  [AGENT_SERVICE, HEALTH_SERVICE].flatMap((service) =>
    [...methodsOf(service)].map(([name, messages]) => [name, { service, name, ...messages }] as const),
  ),
);

const CODE_NAMES: Readonly<Record<number, CodeName>> = {
  1: 'CANCELLED',
  2: 'UNKNOWN',
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  12: 'UNIMPLEMENTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
};

/** No answer for so long is a failure of the case, not of the call. */
const CALL_LIMIT_MS = 30_000;

export class Target {
  readonly protocol: Protocol;
  readonly #channel: RpcChannel;

  private constructor(channel: RpcChannel, protocol: Protocol) {
    this.#channel = channel;
    this.protocol = protocol;
  }

  /** @param address `vsock://cid:port`, `hvsock://path:port` or `unix://path` */
  static async dial(address: string, protocol: Protocol): Promise<Target> {
    return new Target(await openChannel(address, { protocol }), protocol);
  }

  get closed(): Promise<void> {
    return this.#channel.closed;
  }

  async close(): Promise<void> {
    this.#channel.close();
    await this.#channel.closed;
  }

  /** @throws when the answer can't be decoded or none comes */
  async call(name: string, request: Plain | Buffer, deadlineMs?: number): Promise<Outcome> {
    const rpc = RPCS.get(name);
    if (!rpc) throw new Error(`there is no RPC ${name}`);
    const payload = request instanceof Uint8Array ? request : encode(rpc.request, request ?? {});
    const abort = new AbortController();
    const limit = setTimeout(() => abort.abort(new Error('no answer')), (deadlineMs ?? 0) + CALL_LIMIT_MS);
    try {
      const options = { signal: abort.signal, ...(deadlineMs === undefined ? {} : { timeoutMs: deadlineMs }) };
      const bytes = await this.#channel.unary(rpc.service, name, payload, options);
      return { reply: decode(rpc.response, bytes) };
    } catch (error) {
      if (abort.signal.aborted) throw new Error(`${name}: no answer within ${CALL_LIMIT_MS} ms`);
      if (!isAgentError(error)) throw error;
      const { status } = error.fields;
      return { code: typeof status === 'number' ? (CODE_NAMES[status] ?? 'OTHER') : localCode(error.code), text: error.message };
    } finally {
      clearTimeout(limit);
    }
  }
}

/** Of a failure that the client found by itself: a lost connection, a deadline. */
function localCode(code: string): CodeName | 'OTHER' {
  return Object.values(CODE_NAMES).find((name) => name === code.toUpperCase()) ?? 'OTHER';
}
