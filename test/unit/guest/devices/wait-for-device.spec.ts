import assert from 'node:assert/strict';
import { hasCode } from '../../../../agent/errors.ts';
import { waitForDevice } from '../../../../agent/guest/devices/wait-for-device.ts';
import { type FakeKernel, fakeKernel } from '../../../support/fake-kernel.ts';

describe('waiting for a device', () => {
  let kernel: FakeKernel;
  let there: string | undefined;
  let looks: number;

  beforeEach(() => {
    kernel = fakeKernel();
    there = undefined;
    looks = 0;
  });
  afterEach(() => assert.equal(kernel.sockets(), 0, 'the socket is closed again'));

  const look = async () => {
    looks++;
    return there;
  };
  const wait = (
    hotplugTimeoutMs: number,
    more: { look?: () => Promise<string | undefined>; onDelay?: () => Promise<void> } = {},
  ) => waitForDevice({ what: 'disk x', subsystems: ['block'], look, ...more }, { uevents: kernel.uevents, hotplugTimeoutMs });

  it('ends at once when it is there already', async () => {
    there = 'vda';
    assert.equal(await wait(10_000), 'vda');
    assert.equal(looks, 1);
  });

  it('ends when the kernel tells of it, long before the time is over', async () => {
    const found = wait(60_000);
    await new Promise(setImmediate);
    there = 'vda';
    kernel.say('add', '/devices/x/block/vda', 'block');
    assert.equal(await found, 'vda');
  });

  it('looks no more for what other subsystems say', async () => {
    const found = wait(60_000);
    await new Promise(setImmediate);
    for (let count = 0; count < 5; count++) kernel.say('add', '/devices/virtual/bdi/0:40', 'bdi');
    await new Promise(setImmediate);
    assert.equal(looks, 1);
    there = 'vda';
    kernel.say('add', '/devices/x/block/vda', 'block');
    await found;
  });

  it('misses none that comes while it looks', async () => {
    const slow = async () => {
      looks++;
      const seen = there;
      if (looks === 1) {
        there = 'vda';
        kernel.say('add', '/devices/x/block/vda', 'block');
        await new Promise(setImmediate);
      }
      return seen;
    };
    assert.equal(await wait(60_000, { look: slow }), 'vda');
    assert.equal(looks, 2);
  });

  it('looks again when messages were lost', async () => {
    const found = wait(60_000);
    await new Promise(setImmediate);
    there = 'vda';
    kernel.lose();
    assert.equal(await found, 'vda');
  });

  it('finds at the end of the time what nobody told of', async () => {
    const found = wait(60);
    await new Promise(setImmediate);
    there = 'vda';
    assert.equal(await found, 'vda');
  });

  it('gives up after the time by its name, having asked for a rescan once', async () => {
    let rescans = 0;
    const began = performance.now();
    await assert.rejects(
      wait(100, { onDelay: async () => void rescans++ }),
      (error) =>
        hasCode(error, 'deadline_exceeded') &&
        error.message === 'Timeout after 0.1s waiting for disk x' &&
        error.fields['device'] === 'disk x',
    );
    assert.equal(rescans, 1);
    assert.ok(performance.now() - began < 5_000);
  });

  it('finds what the rescan made come, though nobody told of it', async () => {
    const onDelay = async () => {
      there = 'vda';
    };
    const began = performance.now();
    assert.equal(await wait(2_000, { onDelay }), 'vda');
    assert.ok(performance.now() - began < 1_500, 'before the time was over');
  });

  it('ends with the error of a look', async () => {
    await assert.rejects(
      wait(60_000, {
        look: async () => {
          throw new Error('not that kind');
        },
      }),
      /not that kind/,
    );
  });
});
