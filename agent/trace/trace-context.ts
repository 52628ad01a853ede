// Where a call stands in its client's trace (W3C Trace Context: the headers `traceparent` and `tracestate`). Pure.

export interface TraceContext {
  readonly traceId: bigint;
  /** The client's span, the parent of ours. */
  readonly spanId: bigint;
  /** Whether the client records this trace. */
  readonly sampled: boolean;
  readonly state: readonly (readonly [key: string, value: string])[];
}

/** The standard's limits for `tracestate`: vendors have to pass on so much. */
const MAX_STATE_CHARS = 512;
const MAX_STATE_ENTRIES = 32;
const SAMPLED = 1;

/** Undefined when there is none or it breaks the standard: the call then begins a trace of its own. */
export function readTraceContext(metadata: ReadonlyMap<string, string>): TraceContext | undefined {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(
    metadata.get('traceparent')?.trim() ?? '',
  );
  if (!match) return undefined;
  const [, version, trace, span, flags, rest] = match;
  // Later versions may add fields; version ff is none.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  const traceId = BigInt(`0x${trace}`);
  const spanId = BigInt(`0x${span}`);
  if (traceId === 0n || spanId === 0n) return undefined;
  const sampled = (Number.parseInt(flags!, 16) & SAMPLED) !== 0;
  return { traceId, spanId, sampled, state: readState(metadata.get('tracestate') ?? '') };
}

function readState(text: string): [string, string][] {
  if (text.length > MAX_STATE_CHARS) return [];
  const entries: [string, string][] = [];
  for (const member of text.split(',').slice(0, MAX_STATE_ENTRIES)) {
    const match = /^([a-z0-9][a-z0-9_\-*/@]{0,255})=([\x20-\x7e]{1,256})$/.exec(member.trim());
    if (match) entries.push([match[1]!, match[2]!]);
  }
  return entries;
}
