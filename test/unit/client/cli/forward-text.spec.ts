import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isForward, parseForward, placeText, targetText } from '../../../../client/cli/forward-text.ts';

describe('the text of a forward', () => {
  const read: [string, object][] = [
    ['8080:80', { listen: 8080, to: { port: 80 } }],
    ['80', { listen: 80, to: { port: 80 } }],
    [':80', { listen: 0, to: { port: 80 } }],
    ['0:80', { listen: 0, to: { port: 80 } }],
    ['0.0.0.0:8080:80', { listen: { host: '0.0.0.0', port: 8080 }, to: { port: 80 } }],
    ['[::1]:8080:80', { listen: { host: '::1', port: 8080 }, to: { port: 80 } }],
    ['127.0.0.1::80', { listen: { host: '127.0.0.1', port: 0 }, to: { port: 80 } }],
    ['8080:10.0.0.2:80', { listen: 8080, to: { host: '10.0.0.2', port: 80 } }],
    ['8080:[fd00::2]:80', { listen: 8080, to: { host: 'fd00::2', port: 80 } }],
    ['127.0.0.1:8080:10.0.0.2:80', { listen: { host: '127.0.0.1', port: 8080 }, to: { host: '10.0.0.2', port: 80 } }],
    ['8080:/run/app.sock', { listen: 8080, to: { unix: '/run/app.sock' } }],
    ['8080:@app', { listen: 8080, to: { unix: '@app' } }],
    ['/tmp/app.sock:80', { listen: { unix: '/tmp/app.sock' }, to: { port: 80 } }],
    ['/tmp/app.sock:/run/app.sock', { listen: { unix: '/tmp/app.sock' }, to: { unix: '/run/app.sock' } }],
  ];
  for (const [text, plan] of read) it(`${text} is read`, () => assert.deepEqual(parseForward(text), plan));

  const refused: [string, RegExp][] = [
    ['', /'' is no port/],
    ['8080:', /'' is no port/],
    ['8080:0', /'0' is no port/],
    ['8080:65536', /'65536' is no port/],
    ['70000:80', /'70000' is no port/],
    ['web:80', /'web' is no port/],
    ['localhost:8080:80', /'localhost' is no IP address/],
    ['/run/app.sock', /give a port of this machine/],
    ['1:127.0.0.1:2:3', /too many parts/],
    ['1:2:3:4', /too many parts/],
    ['1:/tmp/x:80', /too many parts/],
    ['[::1:8080:80', /too many parts/],
    ['[::1]8080:80', /too many parts|no port|no IP/],
  ];
  for (const [text, reason] of refused) {
    it(`${JSON.stringify(text)} is refused`, () =>
      assert.throws(() => parseForward(text), { code: 'invalid_argument', message: reason }));
  }

  it('is told from the id of a container', () => {
    for (const text of ['8080:80', '80', ':80', '/tmp/a:80']) assert.equal(isForward(text), true, text);
    for (const text of ['web', 'web-1', 'c.2_x']) assert.equal(isForward(text), false, text);
  });

  it('never throws anything else, whatever is typed', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0189:[]/@.af') }), (text) => {
        try {
          const plan = parseForward(text);
          assert.ok(placeText(plan, 1) !== '' && targetText(plan) !== '');
        } catch (error) {
          assert.equal((error as { code: string }).code, 'invalid_argument');
        }
      }),
    );
  });
});
