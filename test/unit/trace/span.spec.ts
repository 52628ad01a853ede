import assert from 'node:assert/strict';
import { encodeSpan } from '../../../agent/trace/span.ts';

const span = {
  traceId: 0x4bf92f3577b34da6a3ce929d0e0e4736n,
  spanId: 0xf0f067aa0ba902b7n,
  parentSpanId: 7n,
  state: [],
  name: 'create_container',
  start: 1_700_000_000_123_456_789n,
  end: 1_700_000_001_000_000_000n,
  attributes: { 'rpc.method': 'CreateContainer' },
};

describe('a span on the wire', () => {
  it('is its length in eight bytes, most significant first, and the JSON that serde writes for SpanData', () => {
    const frame = encodeSpan(span);
    assert.equal(Number(frame.readBigUInt64BE(0)), frame.length - 8);
    // Field names and order of the crate opentelemetry 0.14; ids are numbers of 128 and 64 bits, an Option that is None is null.
    const expected =
      '{"span_context":{"trace_id":100985939111033328018442752961257817910,"span_id":17361490543550988983,"trace_flags":1,' +
      '"is_remote":false,"trace_state":null},"parent_span_id":7,"span_kind":"Server","name":"create_container",' +
      '"start_time":{"secs_since_epoch":1700000000,"nanos_since_epoch":123456789},' +
      '"end_time":{"secs_since_epoch":1700000001,"nanos_since_epoch":0},' +
      '"attributes":{"map":{"rpc.method":{"String":"CreateContainer"}},"evict_list":["rpc.method"],"max_len":128,"dropped_count":0},' +
      '"events":{"queue":null,"max_len":128,"dropped_count":0},"links":{"queue":null,"max_len":128,"dropped_count":0},' +
      '"status_code":"Ok","status_message":"","resource":{"attrs":{"service.name":{"String":"kata-agent"}}}}';
    assert.equal(frame.toString('utf8', 8), expected);
  });

  it('tells of an error and of the trace state, whatever bytes they hold', () => {
    const frame = encodeSpan({ ...span, error: 'no "é"\n', state: [['a', 'b"c']] });
    const json = JSON.parse(frame.toString('utf8', 8));
    assert.deepEqual([json.status_code, json.status_message], ['Error', 'no "é"\n']);
    assert.deepEqual(json.span_context.trace_state, [['a', 'b"c']]);
    assert.equal(Number(frame.readBigUInt64BE(0)), frame.length - 8);
  });
});
