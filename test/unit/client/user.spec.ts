import assert from 'node:assert/strict';
import { resolveUser } from '../../../client/user.ts';

const passwd = 'root:x:0:0:root:/root:/bin/sh\n# comment\nwww:x:33:34::/var/www:/bin/false\nbroken:line\n';
const group = 'root:x:0:\nweb:x:34:\nlogs:x:4:www,other\nadm:x:5:other\n';

describe('who a process runs as', () => {
  it('takes numbers as they are, without any file', () => {
    assert.deepEqual(resolveUser('1000:100'), { uid: 1000, gid: 100, additionalGids: [] });
  });

  it('gives a bare uid the gid of its entry, or 0 without one', () => {
    assert.deepEqual(resolveUser('33', { passwd, group }), { uid: 33, gid: 34, additionalGids: [4] });
    assert.deepEqual(resolveUser('77', { passwd, group }), { uid: 77, gid: 0, additionalGids: [] });
  });

  it('looks a name up with its groups', () => {
    assert.deepEqual(resolveUser('www', { passwd, group }), { uid: 33, gid: 34, additionalGids: [4] });
  });

  it('gives no other groups when the group is named', () => {
    assert.deepEqual(resolveUser('www:logs', { passwd, group }), { uid: 33, gid: 4, additionalGids: [] });
  });

  it('knows root without any file', () => {
    assert.deepEqual(resolveUser('root:root'), { uid: 0, gid: 0, additionalGids: [] });
  });

  for (const text of ['', ':', '1:', ':1', '1:2:3', '4294967295', 'nobody', '0:nogroup']) {
    it(`refuses '${text}'`, () => assert.throws(() => resolveUser(text, { passwd, group }), { code: 'invalid_argument' }));
  }

  it('says that a name needs a root which the host can read', () => {
    assert.throws(() => resolveUser('www'), /only in a shared directory; give numbers/);
  });
});
