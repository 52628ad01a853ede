// Addresses.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AgentError } from '../../../agent/errors.ts';
import { type Endpoint, formatEndpoint, parseEndpoint, parseListenEndpoint } from '../../../agent/transport/endpoint.ts';

const GOOD: readonly [string, Endpoint][] = [
  ['vsock://2:1024', { kind: 'vsock', cid: 2, port: 1024 }],
  ['vsock://-1:1024', { kind: 'vsock', cid: 0xffffffff, port: 1024 }],
  ['vsock://4294967295:4294967295', { kind: 'vsock', cid: 0xffffffff, port: 0xffffffff }],
  ['unix:///run/agent.sock', { kind: 'unix', path: '/run/agent.sock' }],
  ['unix://@/tmp/kata-agent.socket', { kind: 'unix', path: '\0/tmp/kata-agent.socket' }],
  ['hvsock:///run/vm/vsock.sock:1024', { kind: 'hvsock', path: '/run/vm/vsock.sock', port: 1024 }],
  ['serial://org.berth.agent.0', { kind: 'serial', path: 'org.berth.agent.0' }],
  ['serial:///dev/ttyS1', { kind: 'serial', path: '/dev/ttyS1' }],
  ['serial:/run/vm/port.sock', { kind: 'serial', path: '/run/vm/port.sock' }],
  ['serial:port0', { kind: 'serial', path: 'port0' }],
  ['hvsock:///run/a:b.sock:7', { kind: 'hvsock', path: '/run/a:b.sock', port: 7 }],
];

const BAD: readonly [string, string][] = [
  ['', 'scheme'],
  ['vsock', 'scheme'],
  ['/run/agent.sock', 'scheme'],
  ['tcp://127.0.0.1:1', 'scheme'],
  ['VSOCK://1:2', 'scheme'],
  ['vsock://', 'address'],
  ['vsock://3', 'address'],
  ['vsock://3:1024:5', 'address'],
  ['vsock://:1024', 'cid'],
  ['vsock://-2:1024', 'cid'],
  ['vsock://0x3:1024', 'cid'],
  ['vsock://4294967296:1', 'cid'],
  ['vsock://3:', 'port'],
  ['vsock://3:-1', 'port'],
  ['vsock://3:1e3', 'port'],
  ['vsock://3: 1024', 'port'],
  ['vsock://3:99999999999999999999', 'port'],
  ['unix://', 'path'],
  ['unix://relative/path', 'path'],
  ['unix://@', 'path'],
  ['unix:///a\0b', 'path'],
  [`unix:///${'x'.repeat(107)}`, 'path'],
  ['hvsock:///run/vsock.sock', 'port'],
  ['hvsock:///run/vsock.sock:', 'port'],
  ['hvsock://vsock.sock:1', 'path'],
  ['serial:', 'port'],
  ['serial://', 'port'],
  ['serial://..', 'port'],
  ['serial://a/b', 'port'],
  [`serial://${'x'.repeat(65)}`, 'port'],
  [`serial:///${'x'.repeat(107)}`, 'path'],
];

describe('an address', () => {
  for (const [text, endpoint] of GOOD) {
    it(`${JSON.stringify(text)} is read`, () => {
      assert.deepEqual(parseEndpoint(text), endpoint);
    });

    it(`${JSON.stringify(text)} can be written and read again`, () => {
      assert.deepEqual(parseEndpoint(formatEndpoint(endpoint)), endpoint);
    });
  }

  for (const [text, part] of BAD) {
    it(`${JSON.stringify(text.slice(0, 40))} is refused for its ${part}`, () => {
      assert.throws(
        () => parseEndpoint(text),
        (error) =>
          error instanceof AgentError &&
          error.code === 'invalid_argument' &&
          error.fields['part'] === part &&
          error.message.includes(`${part}: `),
      );
    });
  }

  it('to listen on can not be a hybrid one', () => {
    assert.throws(() => parseListenEndpoint('hvsock:///run/x:1'), /hvsock is for clients/);
    assert.deepEqual(parseListenEndpoint('vsock://-1:1024'), GOOD[1]![1]);
  });

  it('of any text is read or refused with a typed error', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.string().map((rest) => `vsock://${rest}`),
      fc.string().map((rest) => `hvsock://${rest}`),
      fc.string().map((rest) => `serial:${rest}`),
      fc.string().map((rest) => `unix://${rest}`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          assert.deepEqual(parseEndpoint(formatEndpoint(parseEndpoint(text))), parseEndpoint(text));
        } catch (error) {
          assert.ok(error instanceof AgentError && error.code === 'invalid_argument', String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
