import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AgentError } from '../../agent/errors.ts';
import type { LogFields, LogThreshold } from '../../agent/log.ts';
import { formatLine, MAX_FIELD_CHARS, MAX_FIELDS } from '../../agent/log-line.ts';

const origin = { version: '0.1.0', pid: 42, now: () => '2026-11-23T12:00:00.123456789Z' };
const parse = (fields: LogFields, message = 'm', level: LogThreshold = 'info') =>
  JSON.parse(formatLine(origin, level, message, fields)) as Record<string, string>;

describe('a log line', () => {
  it("has Kata's keys in Kata's forms", () => {
    assert.deepEqual(parse({ container: 'c1' }, 'container started'), {
      msg: 'container started',
      level: 'INFO',
      ts: '2026-11-23T12:00:00.123456789Z',
      version: '0.1.0',
      subsystem: 'root',
      pid: '42',
      name: 'kata-agent',
      source: 'agent',
      container: 'c1',
    });
  });

  for (const [level, word] of [
    ['critical', 'CRIT'],
    ['error', 'ERRO'],
    ['warn', 'WARN'],
    ['info', 'INFO'],
    ['debug', 'DEBG'],
    ['trace', 'TRCE'],
  ] as const) {
    it(`calls ${level} ${word}`, () => assert.equal(parse({}, 'm', level).level, word));
  }

  // Kata's log-parser reads a line into a map of strings; one number would make it take the line for plain text.
  it('has only texts for values', () => {
    const line = parse({ n: 1.5, big: 2n ** 64n - 1n, yes: true, none: null, list: [1, 'a'], table: { a: { b: 1n } } });
    assert.deepEqual(
      [line['n'], line['big'], line['yes'], line['none'], line['list'], line['table']],
      ['1.5', '18446744073709551615', 'true', 'null', '[1,"a"]', '{"a":{"b":"1"}}'],
    );
    assert.ok(Object.values(line).every((value) => typeof value === 'string'));
  });

  it('leaves out a field that is undefined', () => assert.ok(!('x' in parse({ x: undefined }))));

  it('takes its subsystem from a field', () => assert.equal(parse({ subsystem: 'rpc' }).subsystem, 'rpc'));

  it("keeps a field apart that is named like one of Kata's keys", () => {
    const line = parse({ pid: 7, msg: 'x' });
    assert.deepEqual([line.pid, line['field_pid'], line.msg, line['field_msg']], ['42', '7', 'm', 'x']);
  });

  it('tells an error with its chain and its code', () => {
    const error = new AgentError('not_found', 'container abc', {
      cause: Object.assign(new Error('open config.json: no such file'), { code: 'ENOENT' }),
    });
    const line = parse({ error });
    assert.equal(line['error'], 'container abc: open config.json: no such file');
    assert.equal(line['error.code'], 'not_found');
    assert.ok(!('error.stack' in line));
  });

  it('adds the stack where the cause is a bug, not a refusal or a system error', () => {
    const line = parse({ error: new AgentError('internal', 'start', { cause: new TypeError('x is not a function') }) });
    assert.match(line['error.stack'] ?? '', /TypeError: x is not a function\n\s+at /);
  });

  it('never prints bytes, only how many there were', () => {
    assert.equal(parse({ data: { chunk: Buffer.from('secret') } })['data'], '{"chunk":"[6 bytes]"}');
    assert.equal(parse({ data: new Uint8Array(3) })['data'], '"[3 bytes]"');
  });

  it('survives a ring, a getter that throws, a proxy that throws and a toJSON that throws', () => {
    const ring: Record<string, unknown> = { a: 1 };
    ring['me'] = ring;
    const hostile = new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('no');
        },
      },
    );
    const line = parse({
      ring,
      getter: Object.defineProperty({}, 'x', {
        enumerable: true,
        get() {
          throw new Error('no');
        },
      }),
      hostile,
      json: {
        toJSON() {
          throw new Error('no');
        },
      },
    });
    assert.equal(line['ring'], '{"a":1,"me":"[circular]"}');
    assert.equal(line['getter'], '{"x":"[unreadable]"}');
    assert.equal(line['hostile'], '[unreadable]');
    assert.equal(line['json'], '{"toJSON":"[function]"}');
  });

  it('escapes newlines and every control character, so that one line stays one and a terminal is not steered', () => {
    const text = Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code)).join('');
    const raw = formatLine(origin, 'info', text, { [`k${text}`]: `${text}\u2028\u2029` });
    assert.ok(!/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(raw));
    assert.equal(JSON.parse(raw).msg, text);
  });

  it('is bounded in the length of a value, the number of fields, and the depth and width of an object', () => {
    const long = parse({ x: 'y'.repeat(MAX_FIELD_CHARS + 10) }, 'z'.repeat(10_000));
    assert.equal(long['x'], `${'y'.repeat(MAX_FIELD_CHARS)}[10 more]`);
    assert.ok((long.msg ?? '').length < MAX_FIELD_CHARS + 20);
    const many = parse(Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`k${at}`, at])));
    assert.equal(Object.keys(many).length, 8 + MAX_FIELDS);
    let deep: unknown = 1;
    for (let at = 0; at < 10_000; at++) deep = [deep];
    assert.match(parse({ deep })['deep'] ?? '', /\[deep\]/);
    assert.match(parse({ wide: Array.from({ length: 100 }, () => 1) })['wide'] ?? '', /\[36 more\]/);
  });

  it('is one JSON object of texts whatever the fields hold', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.dictionary(
          fc.string(),
          fc.anything({
            withBigInt: true,
            withDate: true,
            withMap: true,
            withSet: true,
            withTypedArray: true,
            withNullPrototype: true,
          }),
        ),
        (message, fields) => {
          const raw = formatLine(origin, 'info', message, fields);
          assert.ok(!raw.includes('\n'));
          const line = JSON.parse(raw) as Record<string, unknown>;
          assert.ok(Object.values(line).every((value) => typeof value === 'string'));
          assert.equal(line['pid'], '42');
        },
      ),
    );
  });
});
