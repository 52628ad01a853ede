import assert from 'node:assert/strict';
import { hasCode } from '../../../../agent/errors.ts';
import { fakeKernel } from '../../../support/fake-kernel.ts';

describe('listening for devices', () => {
  it('holds a socket only while somebody listens', () => {
    const kernel = fakeKernel();
    assert.equal(kernel.sockets(), 0);
    const stops = [kernel.uevents.listen(() => {}), kernel.uevents.listen(() => {})];
    assert.equal(kernel.sockets(), 1);
    stops[0]!();
    stops[0]!();
    assert.equal(kernel.sockets(), 1);
    stops[1]!();
    assert.equal(kernel.sockets(), 0);
  });

  it('tells every listener what is said, and none what is no message', () => {
    const kernel = fakeKernel();
    const heard: string[] = [];
    for (const name of ['a', 'b']) kernel.uevents.listen((event) => heard.push(`${name} ${event?.path}`));
    kernel.sayBytes(Buffer.from('libudev\0'));
    kernel.say('add', '/devices/x', 'block');
    assert.deepEqual(heard, ['a /devices/x', 'b /devices/x']);
  });

  it('tells that messages were lost', () => {
    const kernel = fakeKernel();
    const heard: unknown[] = [];
    kernel.uevents.listen((event) => heard.push(event));
    kernel.lose();
    assert.deepEqual(heard, [undefined]);
  });

  it('lets a listener stop while it is told, and others too', () => {
    const kernel = fakeKernel();
    let told = 0;
    const stop = kernel.uevents.listen(() => {
      told++;
      stop();
    });
    kernel.say('add', '/a', 'block');
    kernel.say('add', '/b', 'block');
    assert.deepEqual([told, kernel.sockets()], [1, 0]);
  });

  it('is bounded', () => {
    const { uevents } = fakeKernel();
    for (let count = 0; count < 1024; count++) uevents.listen(() => {});
    assert.throws(
      () => uevents.listen(() => {}),
      (error) => hasCode(error, 'resource_exhausted') && error.fields['limit'] === 'device-waits',
    );
  });
});
