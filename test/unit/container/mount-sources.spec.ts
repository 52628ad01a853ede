import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkMountSources } from '../../../agent/container/mount-sources.ts';
import { hasCode } from '../../../agent/errors.ts';

describe('the source of a bind mount', () => {
  let root: string;
  const shared = () => join(root, 'shared');
  const check = (source: string) =>
    checkMountSources(
      [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/x', type: 'bind', source, options: ['rbind'] },
      ],
      shared(),
      [join(root, 'private')],
    );
  const refused = (error: unknown) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'mounts[1].source';

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-sources-'));
    for (const directory of ['shared/volume/sub', 'private/state', 'other'])
      await mkdir(join(root, directory), { recursive: true });
    await symlink('../../other', join(root, 'shared/volume/out'));
    await symlink('sub', join(root, 'shared/volume/in'));
    await symlink('private/state', join(root, 'link'));
    await symlink('/proc/self/root', join(root, 'magic'));
    await symlink('loop', join(root, 'loop'));
  });
  afterEach(() => rm(root, { recursive: true }));

  it('may be a link that stays within the shared directory', async () => {
    await check(join(shared(), 'volume/in'));
    await check(join(shared(), 'volume/sub'));
  });

  it('may not be a link that a container planted there to lead out of it', async () => {
    await assert.rejects(check(join(shared(), 'volume/out')), refused);
  });

  it("may not lead to the agent's state, or to all there is", async () => {
    await assert.rejects(check(join(root, 'link')), refused);
    await assert.rejects(check(join(root, 'magic')), refused);
  });

  it('is left to crun when it is not there', async () => {
    await check(join(shared(), 'none'));
    await check(join(root, 'loop'));
  });

  it('is named when its file system does not answer, and no more than two are asked at a time', async () => {
    const gate = Promise.withResolvers<string>();
    const asked: string[] = [];
    const look = (path: string) => {
      asked.push(path);
      return gate.promise;
    };
    const stuck = Array.from({ length: 8 }, (_, at) =>
      assert.rejects(
        checkMountSources([{ destination: '/x', source: `/dead/${at}`, options: ['bind'] }], shared(), [], {
          look,
          patienceMs: 50,
        }),
        (error) =>
          hasCode(error, 'deadline_exceeded') &&
          error.message.includes(`/dead/${at}`) &&
          error.fields['field'] === 'mounts[0].source',
      ),
    );
    await Promise.all(stuck);
    assert.equal(asked.length, 2);
    gate.resolve('/dead');
    await check(join(shared(), 'volume/in'));
  });
});
