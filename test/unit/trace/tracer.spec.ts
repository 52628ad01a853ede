import assert from 'node:assert/strict';
import { AgentError } from '../../../agent/errors.ts';
import type { Span } from '../../../agent/trace/span.ts';
import { createTracer, spanName, type TracedCall } from '../../../agent/trace/tracer.ts';

const PARENT = 'ab-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7';

function spansOf(...calls: Partial<TracedCall>[]): Span[] {
  const spans: Span[] = [];
  const trace = createTracer((span) => spans.push(span));
  for (const call of calls) {
    trace({
      method: '/grpc.AgentService/ExecProcess',
      caller: { id: 'c1', protocol: 'ttrpc', peer: 'vsock:2:9' },
      startedAt: performance.now() - 40,
      metadata: new Map(),
      ...call,
    });
  }
  return spans;
}

describe('the tracer', () => {
  it("makes a span of a call, as a child of its client's", () => {
    const [span] = spansOf({ metadata: new Map([['traceparent', `${PARENT}-01`]]) });
    assert.equal(span!.traceId, 0x4bf92f3577b34da6a3ce929d0e0e4736n);
    assert.equal(span!.parentSpanId, 0x00f067aa0ba902b7n);
    assert.notEqual(span!.spanId, span!.parentSpanId);
    assert.equal(span!.name, 'exec_process');
    assert.equal(span!.attributes['rpc.service'], 'grpc.AgentService');
    const tookMs = Number(span!.end - span!.start) / 1e6;
    assert.ok(tookMs >= 40 && tookMs < 1_000, `${tookMs} ms`);
    assert.ok(Math.abs(Number(span!.end / 1_000_000n) - Date.now()) < 1_000);
  });

  it('begins a trace of its own for a call without one', () => {
    const spans = spansOf({}, {});
    assert.equal(spans[0]!.parentSpanId, 0n);
    assert.ok(spans[0]!.traceId > 0n && spans[0]!.traceId < 1n << 128n);
    assert.notEqual(spans[0]!.traceId, spans[1]!.traceId);
  });

  it('makes none of a call in a trace that is not recorded', () => {
    assert.deepEqual(spansOf({ metadata: new Map([['traceparent', `${PARENT}-00`]]) }), []);
  });

  it('tells why a call failed', () => {
    const [span] = spansOf({ error: new AgentError('not_found', 'container x') });
    assert.deepEqual([span!.error, span!.attributes['error.type']], ['container x', 'not_found']);
  });

  for (const [method, name] of [
    ['CreateContainer', 'create_container'],
    ['GetOOMEvent', 'get_oom_event'],
    ['AddARPNeighbors', 'add_arp_neighbors'],
    ['OnlineCPUMem', 'online_cpu_mem'],
    ['SetIPTables', 'set_iptables'],
    ['TtyWinResize', 'tty_win_resize'],
    ['Check', 'check'],
    ['', 'unknown'],
  ] as const) {
    it(`names the span of ${method || 'no method'} ${name}`, () => assert.equal(spanName(method), name));
  }
});
