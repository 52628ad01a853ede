import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { berth } from '#proto/berth.js';
import { openGuard } from '../../../../agent/api/admission/open-guard.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { silentLogger } from '../../../../agent/log.ts';
import { guarded } from '../../../../agent/rpc/guard.ts';
import { lazyMethods } from '../../../../agent/rpc/lazy-methods.ts';
import type { CallContext } from '../../../../agent/rpc/service.ts';
import { absentMethods } from './absent-methods.ts';

const call: CallContext = {
  caller: { id: 'c1', protocol: 'ttrpc', peer: 'unix' },
  signal: new AbortController().signal,
  metadata: new Map(),
  onAnswered: () => {},
};

describe('the guard', () => {
  it('is not there without a policy, and nothing is loaded for it', async () => {
    let asked = false;
    const methods = async () => {
      asked = true;
      return [];
    };
    assert.equal(await openGuard('', methods, silentLogger), undefined);
    assert.equal(asked, false);
  });

  it('knows the methods that are loaded later, and the fields of their requests', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-guard-'));
    try {
      const file = join(folder, 'policy.toml');
      const rule = '[[deny]]\nname = "kept"\nrpcs = ["berth.v1.Containers/Delete"]\nfields.id = ["db-*"]';
      await writeFile(file, `version = 1\ndefault = "allow"\n${rule}\n[[deny]]\nrpcs = ["berth.v1.Events/*"]`);
      const [later] = lazyMethods({ 'berth.v1.Containers': ['Delete'] }, async () => absentMethods());
      assert.ok(later);
      const guard = await openGuard(file, async () => [later, ...absentMethods()], silentLogger);
      const method = guarded(later, guard);
      assert.ok(method.kind === 'unary');
      const remove = (id: string) => method.handle(berth.v1.DeleteContainerRequest.encode({ id }).finish(), call);
      await assert.rejects(
        async () => remove('db-1'),
        (error) =>
          hasCode(error, 'permission_denied') &&
          error.message === 'DeleteContainerRequest is blocked by policy: rule "kept" denies it: id is "db-1"',
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
