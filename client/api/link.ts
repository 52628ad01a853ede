// A connection to one guest's agent that heals: whoever calls through it sees a pause where the connection breaks or the agent is
// restarted, and an error only when nobody answers for a while. All of a program's calls on the guest share it.
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import { AgentError, hasCode } from '../../agent/errors.ts';
import { unlessAborted } from '../../agent/unless-aborted.ts';
import type { CallOptions, RpcChannel } from '../rpc/channel.ts';
import { keepsAsking, openChannel } from '../rpc/open-channel.ts';
import { type MethodTypes, openStream, type TypedStream } from '../rpc/typed.ts';
import { version } from '../version.ts';
import { type Feature, UnsupportedError } from './unsupported.ts';

const { HelloRequest, HelloResponse } = berth.v1;

/** How `connect` connects. */
export interface LinkOptions {
  /** What the agent calls this client in logs, events and ownership. Default `berth-client`. */
  readonly name?: string;
  /** How long nobody may answer before calls fail with `unavailable`, ms. Default 30 000. */
  readonly patienceMs?: number;
  /** What `connect` does when nobody listens there: dial again for `patienceMs`, the default, or fail. */
  readonly firstDial?: 'patient' | 'once';
  /** Gives `connect` up. */
  readonly signal?: AbortSignal;
}

/** One method of the API by its name and the classes of its messages. */
export interface Method<Req, Res> extends MethodTypes<Req, Res> {
  readonly service: string;
  readonly name: string;
  /** What the agent must have announced for it; absent for what every agent with berth.v1 has. */
  readonly feature?: Feature;
}

export interface LinkCallOptions extends CallOptions {
  /** Asking twice does no harm: the call is made again when the connection broke before its answer. */
  readonly repeatable?: boolean;
}

const PATIENCE_MS = 30_000;
const FIRST_REDIAL_MS = 10;
const LAST_REDIAL_MS = 500;
/** One attempt; a guest that is still booting may swallow a connection without a word. */
const ATTEMPT_MS = 5_000;
/** A connection that breaks before is dialled again when it is needed, not at once: or one that always breaks would be dialled without end. */
const SETTLED_MS = 500;
/** Hellos without an answer, though something took the connection, before the agent is asked whether it knows them at all. */
const SILENT_HELLOS = 3;
/** One attempt when there is no other; a guest in emulation may take seconds to answer. */
const ONLY_ATTEMPT_MS = 15_000;

export class Link implements AsyncDisposable {
  readonly address: string;
  readonly #name: string;
  readonly #patienceMs: number;
  readonly #end = new AbortController();
  #channel: RpcChannel | undefined;
  #dialling: Promise<RpcChannel> | undefined;
  /** The errors of dials that were given up. */
  readonly #final = new WeakSet<object>();
  #hello: berth.v1.HelloResponse | undefined;
  /** Whether the next dialling is to be the only one. */
  #once: boolean;
  #silentHellos = 0;

  private constructor(address: string, { name = 'berth-client', patienceMs = PATIENCE_MS, firstDial }: LinkOptions) {
    this.address = address;
    this.#name = name;
    this.#patienceMs = patienceMs;
    this.#once = firstDial === 'once';
  }

  /** Dials and says hello. @throws AgentError unavailable; invalid_argument for a bad address; UnsupportedError by an agent without berth.v1 */
  static async open(address: string, options: LinkOptions = {}): Promise<Link> {
    const link = new Link(address, options);
    try {
      await link.#connected(options.signal);
      return link;
    } catch (error) {
      // It would dial on for somebody who has gone.
      await link.close();
      throw error;
    }
  }

  /** What the agent said of itself when it was last dialled. */
  get hello(): berth.v1.HelloResponse {
    if (this.#hello === undefined) throw new AgentError('failed_precondition', 'not connected yet');
    return this.#hello;
  }

  /** Whether the agent has announced it. */
  has(feature: Feature): boolean {
    return this.hello.features.includes(feature);
  }

  /** @throws UnsupportedError, before anything is sent, when this agent has not announced it */
  need(feature: Feature): void {
    if (!this.has(feature)) throw new UnsupportedError(feature, this.hello.agentVersion);
  }

  async call<Req, Res>(method: Method<Req, Res>, request: Req, options: LinkCallOptions = {}): Promise<Res> {
    const bytes = method.request.encode(request).finish();
    const { repeatable = false, ...callOptions } = options;
    for (;;) {
      const channel = await this.#connected(options.signal);
      // At each turn: the agent that answers after a break may be another one.
      if (method.feature !== undefined) this.need(method.feature);
      try {
        return method.response.decode(await channel.unary(method.service, method.name, bytes, callOptions));
      } catch (error) {
        if (!repeatable || !(await this.#brokeUnder(channel, error))) throw error;
      }
    }
  }

  /** A call with streams on the connection of now. It does not heal by itself: whoever opens it knows where to go on. */
  async stream<Req, Res>(method: Method<Req, Res>, options: CallOptions = {}): Promise<TypedStream<Req, Res>> {
    const channel = await this.#connected(options.signal);
    if (method.feature !== undefined) this.need(method.feature);
    return openStream(channel, { service: method.service, method: method.name }, method, options);
  }

  /** Whether an error of a stream means that it may be opened again: a broken connection, but not a guest that nobody answers for. */
  mayResume(error: unknown): boolean {
    return !this.#end.signal.aborted && hasCode(error, 'unavailable') && !this.#final.has(error);
  }

  /** Ends the connection. What runs in the guest goes on as its lifetime says. Idempotent. */
  async close(): Promise<void> {
    this.#end.abort(new AgentError('cancelled', 'the client was closed'));
    const channel = this.#channel;
    channel?.close();
    await channel?.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #brokeUnder(channel: RpcChannel, error: unknown): Promise<boolean> {
    if (!this.mayResume(error)) return false;
    // The calls of a connection hear of its end before its own event comes.
    await sleep(0);
    return this.#channel !== channel;
  }

  async #connected(signal?: AbortSignal): Promise<RpcChannel> {
    this.#end.signal.throwIfAborted();
    if (this.#channel !== undefined) return this.#channel;
    this.#dialling ??= this.#dial().finally(() => {
      this.#dialling = undefined;
    });
    return signal === undefined ? await this.#dialling : await unlessCancelled(this.#dialling, signal);
  }

  async #dial(): Promise<RpcChannel> {
    const deadline = performance.now() + this.#patienceMs;
    const once = this.#once;
    for (let pauseMs = FIRST_REDIAL_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_REDIAL_MS)) {
      const left = deadline - performance.now();
      try {
        return await this.#attempt(
          once ? ONLY_ATTEMPT_MS : Math.max(1, Math.ceil(keepsAsking(this.address) ? left : Math.min(ATTEMPT_MS, left))),
        );
      } catch (error) {
        this.#end.signal.throwIfAborted();
        if (!mayPass(error)) throw error;
        if (once || performance.now() + pauseMs >= deadline) {
          const within = once ? '' : ` within ${this.#patienceMs} ms`;
          const final = new AgentError('unavailable', `no agent answers at ${this.address}${within}`, {
            cause: error,
            fields: { address: this.address },
          });
          this.#final.add(final);
          throw final;
        }
        await sleep(pauseMs, undefined, { signal: this.#end.signal });
      }
    }
  }

  async #attempt(timeoutMs: number): Promise<RpcChannel> {
    const { signal } = this.#end;
    const channel = await openChannel(this.address, { protocol: 'grpc', timeoutMs, signal });
    try {
      await this.#greet(channel, timeoutMs);
    } catch (error) {
      channel.close();
      throw await this.#explain(error);
    }
    this.#once = false;
    this.#channel = channel;
    const openedAt = performance.now();
    void channel.closed.then(() => {
      if (this.#channel !== channel) return;
      this.#channel = undefined;
      if (performance.now() - openedAt >= SETTLED_MS) this.#keepSession();
    });
    return channel;
  }

  /** Without waiting for the next call: what the session owns in the guest is ended when nobody shows it for a while. */
  #keepSession(): void {
    if (!this.#end.signal.aborted) this.#connected().catch(() => {});
  }

  /** What takes connections and does not answer Hello may be an agent that speaks Kata's API alone: that is no reason to dial on. */
  async #explain(error: unknown): Promise<unknown> {
    const refused = hasCode(error, 'unimplemented');
    if (!refused) {
      if (this.#hello !== undefined || !mayPass(error)) return error;
      // One that was just about to listen has answered by then.
      this.#silentHellos++;
      if (!this.#once && this.#silentHellos < SILENT_HELLOS) return error;
    }
    const { agentVersion } = await import('./older-agent.ts');
    const told = await agentVersion(this.address, this.#end.signal);
    return refused || told !== undefined ? new UnsupportedError('berth.v1', told ?? '') : error;
  }

  /** The session makes the agent take this connection for the one before; an agent that does not know it any more gives a new one. */
  async #greet(channel: RpcChannel, timeoutMs: number): Promise<void> {
    const said = { name: this.#name, version };
    const hello = async (session: string) => {
      const request = HelloRequest.encode({ ...said, session }).finish();
      return HelloResponse.decode(
        await channel.unary('berth.v1.Agent', 'Hello', request, { timeoutMs, signal: this.#end.signal }),
      );
    };
    try {
      this.#hello = await hello(this.#hello?.session ?? '');
    } catch (error) {
      if (!hasCode(error, 'not_found')) throw error;
      this.#hello = await hello('');
    }
  }
}

/** What a guest looks like that boots, or whose agent is being restarted. */
function mayPass(error: unknown): boolean {
  return hasCode(error, 'unavailable') || hasCode(error, 'deadline_exceeded');
}

async function unlessCancelled<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await unlessAborted(work, signal);
  } catch (error) {
    throw signal.aborted ? new AgentError('cancelled', 'cancelled', { cause: signal.reason }) : error;
  }
}
