// One span, and its form on the wire to Kata's trace forwarder: eight bytes of length, most significant first, then JSON as serde
// writes the Rust type opentelemetry::sdk::export::trace::SpanData (crate opentelemetry 0.14, feature `serialize`; kata-agent.md §1.6).

export interface Span {
  readonly traceId: bigint;
  readonly spanId: bigint;
  /** 0 for a span that begins its trace. */
  readonly parentSpanId: bigint;
  readonly state: readonly (readonly [key: string, value: string])[];
  readonly name: string;
  /** Nanoseconds since 1970. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, string>>;
  /** Why the call failed. */
  readonly error?: string | undefined;
}

const NANOSECONDS = 1_000_000_000n;
const LENGTH_BYTES = 8;
const SAMPLED = 1;
/** The SDK's default limits, which the type carries along. */
const MAX_ATTRIBUTES = 128;
const MAX_EVENTS = 128;
const RESOURCE = { attrs: { 'service.name': { String: 'kata-agent' } } };

/** Length and JSON. */
export function encodeSpan(span: Span): Buffer {
  const json = Buffer.from(spanJson(span));
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + json.length);
  frame.writeBigUInt64BE(BigInt(json.length), 0);
  json.copy(frame, LENGTH_BYTES);
  return frame;
}

// Ids are JSON numbers of up to 128 bits, which JSON.stringify can't write.
function spanJson(span: Span): string {
  const keys = Object.keys(span.attributes);
  const context =
    `{"trace_id":${span.traceId},"span_id":${span.spanId},"trace_flags":${SAMPLED},"is_remote":false,` +
    `"trace_state":${span.state.length === 0 ? 'null' : JSON.stringify(span.state)}}`;
  const rest = {
    span_kind: 'Server',
    name: span.name,
    start_time: time(span.start),
    end_time: time(span.end),
    attributes: {
      map: Object.fromEntries(keys.map((key) => [key, { String: span.attributes[key] }])),
      evict_list: keys,
      max_len: MAX_ATTRIBUTES,
      dropped_count: 0,
    },
    events: { queue: null, max_len: MAX_EVENTS, dropped_count: 0 },
    links: { queue: null, max_len: MAX_EVENTS, dropped_count: 0 },
    status_code: span.error === undefined ? 'Ok' : 'Error',
    status_message: span.error ?? '',
    resource: RESOURCE,
  };
  return `{"span_context":${context},"parent_span_id":${span.parentSpanId},${JSON.stringify(rest).slice(1)}`;
}

function time(nanoseconds: bigint): { secs_since_epoch: number; nanos_since_epoch: number } {
  return { secs_since_epoch: Number(nanoseconds / NANOSECONDS), nanos_since_epoch: Number(nanoseconds % NANOSECONDS) };
}
