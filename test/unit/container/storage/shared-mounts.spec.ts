import assert from 'node:assert/strict';
import { SharedMounts } from '../../../../agent/container/storage/shared-mounts.ts';
import { hasCode } from '../../../../agent/errors.ts';

const DIRECTORY = '/run/share';
const mountsOn =
  (...targets: string[]) =>
  async () =>
    targets.map((target) => ({ target, fstype: 'virtiofs', source: 'kataShared', options: ['rw'] }));

describe('the mounts of the shared directory', () => {
  it('are each looked at once, and no other is; what a look answers does not matter', async () => {
    const looked: string[] = [];
    const mounts = mountsOn('/', '/run', DIRECTORY, `${DIRECTORY}/a`, `${DIRECTORY}/b/rootfs`, `${DIRECTORY}/a`, '/run/shared2');
    const look = async (path: string) => {
      looked.push(path);
      throw Object.assign(new Error('ESTALE'), { code: 'ESTALE' });
    };
    await new SharedMounts({ directory: DIRECTORY, mounts, look }).refresh();
    assert.deepEqual(looked.sort(), [`${DIRECTORY}/a`, `${DIRECTORY}/b/rootfs`]);
  });

  it('that hang cost one thread and each caller its deadline only, and work again afterwards', async () => {
    let rounds = 0;
    const stuck = Promise.withResolvers<void>();
    const look = async () => {
      rounds++;
      await stuck.promise;
    };
    const mounts = new SharedMounts({ directory: DIRECTORY, mounts: mountsOn(`${DIRECTORY}/a`), look, timeoutMs: 20 });
    const late = (error: unknown) => hasCode(error, 'deadline_exceeded');
    await Promise.all([1, 2, 3].map(() => assert.rejects(mounts.refresh(), late)));
    await assert.rejects(mounts.refresh(), late);
    assert.equal(rounds, 1);
    stuck.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    await mounts.refresh();
    assert.equal(rounds, 2);
  });

  it('that can not be read are an error', async () => {
    const mounts = async () => {
      throw Object.assign(new Error('EIO: read'), { code: 'EIO' });
    };
    await assert.rejects(new SharedMounts({ mounts }).refresh(), (error) => hasCode(error, 'internal'));
  });
});
