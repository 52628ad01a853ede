// Makes a span of every call that has ended. A call that belongs to a trace its client does not record gets none.
import type { AgentError } from '../errors.ts';
import type { Span } from './span.ts';
import { readTraceContext } from './trace-context.ts';

/** What is told of a call; rpc's FinishedCall is one. */
export interface TracedCall {
  /** `/service/Method` */
  readonly method: string;
  readonly caller: { readonly id: string; readonly protocol: string; readonly peer: string };
  /** performance.now() */
  readonly startedAt: number;
  readonly metadata: ReadonlyMap<string, string>;
  readonly error?: AgentError | undefined;
}

/** An error's text may hold a user's words; a trace needs its gist. */
const MAX_ERROR_CHARS = 512;

export function createTracer(emit: (span: Span) => void): (call: TracedCall) => void {
  return (call) => {
    const parent = readTraceContext(call.metadata);
    if (parent?.sampled === false) return;
    // The wall clock may be set while a call runs (SetGuestDateTime): its end is read, and its length taken off.
    const end = BigInt(Date.now()) * 1_000_000n;
    const length = BigInt(Math.max(0, Math.round((performance.now() - call.startedAt) * 1e6)));
    const [, service = '', method = ''] = call.method.split('/');
    emit({
      traceId: parent?.traceId ?? (randomId() << 64n) | randomId(),
      spanId: randomId(),
      parentSpanId: parent?.spanId ?? 0n,
      state: parent?.state ?? [],
      name: spanName(method),
      start: end - length,
      end,
      attributes: {
        'rpc.system': call.caller.protocol,
        'rpc.service': service,
        'rpc.method': method,
        'client.id': call.caller.id,
        'client.address': call.caller.peer,
        ...(call.error && { 'error.type': call.error.code }),
      },
      error: call.error?.message.slice(0, MAX_ERROR_CHARS),
    });
  };
}

/** Kata's agent names spans after its handlers: CreateContainer is `create_container`, GetOOMEvent `get_oom_event`. */
export function spanName(method: string): string {
  const words = method.replace('IPTables', 'Iptables').replace(/([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])/g, '$1$3_$2$4');
  return words.toLowerCase() || 'unknown';
}

/** 64 bits, not 0. Ids need to differ, not to be secret. */
function randomId(): bigint {
  const half = () => BigInt(Math.floor(Math.random() * 0x100000000));
  return (half() << 32n) | half() || 1n;
}
