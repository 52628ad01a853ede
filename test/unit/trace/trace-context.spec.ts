import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readTraceContext } from '../../../agent/trace/trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const read = (traceparent: string, tracestate?: string) =>
  readTraceContext(
    new Map([['traceparent', traceparent], ...(tracestate === undefined ? [] : [['tracestate', tracestate] as const])]),
  );

describe('the trace context of a call', () => {
  it('is what the headers of W3C Trace Context say', () => {
    assert.deepEqual(read(`00-${TRACE}-${SPAN}-01`, 'congo=t61rcWkgMzE, rojo=00f067aa0ba902b7'), {
      traceId: BigInt(`0x${TRACE}`),
      spanId: BigInt(`0x${SPAN}`),
      sampled: true,
      state: [
        ['congo', 't61rcWkgMzE'],
        ['rojo', '00f067aa0ba902b7'],
      ],
    });
  });

  it('tells whether the client records the trace', () => {
    assert.equal(read(`00-${TRACE}-${SPAN}-00`)?.sampled, false);
    assert.equal(read(`00-${TRACE}-${SPAN}-03`)?.sampled, true);
  });

  it('is read from later versions, which may say more', () => {
    assert.ok(read(`cc-${TRACE}-${SPAN}-01-what-the-future-brings`));
  });

  for (const [why, text] of [
    ['nothing', ''],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['version 00 with more behind it', `00-${TRACE}-${SPAN}-01-x`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['capital letters', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a short id', `00-${TRACE.slice(1)}-${SPAN}-01`],
  ] as const) {
    it(`is absent for ${why}`, () => assert.equal(read(text), undefined));
  }

  it('is read from anything without throwing', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (parent, state) => {
        read(parent, state);
        read(`00-${TRACE}-${SPAN}-01`, state);
      }),
    );
  });
});
