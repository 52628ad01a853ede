import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../../agent/errors.ts';
import { makeRunDir, runRoot, sweepRunDirs } from '../../../../client/vm/run-dir.ts';

describe("a guest's run directory", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'run-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function abandoned(cid: number): string {
    const path = join(root, String(cid));
    mkdirSync(path);
    writeFileSync(join(path, 'owner.json'), JSON.stringify({ pid: process.pid, startTime: '1' }));
    return path;
  }

  it('reserves a CID that no other guest has', () => {
    const [one, two] = [makeRunDir(undefined, root), makeRunDir(undefined, root)];
    assert.deepEqual([one.cid, two.cid, makeRunDir(two.cid, root).cid], [1000, 1001, 1002]);
    one.remove();
    assert.equal(makeRunDir(undefined, root).cid, 1000);
    assert.equal(statSync(two.path).mode & 0o777, 0o700);
  });

  it('is taken over from a launcher that was killed', () => {
    const path = abandoned(1000);
    writeFileSync(join(path, 'vm.vsock'), '');
    assert.equal(makeRunDir(undefined, root).cid, 1000);
    assert.equal(existsSync(join(path, 'vm.vsock')), false);
  });

  it('is swept when its launcher was killed, and only then', () => {
    const live = makeRunDir(1005, root);
    abandoned(1006);
    mkdirSync(join(root, '1007'));
    mkdirSync(join(root, '1008'));
    utimesSync(join(root, '1008'), 1, 1);
    mkdirSync(join(root, 'other'));
    assert.equal(sweepRunDirs(root), 2);
    assert.deepEqual(readdirSync(root).sort(), ['1005', '1007', 'other'], 'one being made has no owner yet');
    live.remove();
  });

  it('is refused where its sockets would have too long a path', () => {
    const deep = join(root, 'x'.repeat(100));
    mkdirSync(deep);
    assert.throws(
      () => makeRunDir(undefined, deep),
      (error) => hasCode(error, 'failed_precondition') && /BERTH_RUN_DIR/.test(error.message),
    );
  });

  it('is refused where others can enter', () => {
    const before = process.env['BERTH_RUN_DIR'];
    process.env['BERTH_RUN_DIR'] = root;
    try {
      chmodSync(runRoot(), 0o755);
      assert.throws(
        () => runRoot(),
        (error) => hasCode(error, 'permission_denied'),
      );
    } finally {
      if (before === undefined) delete process.env['BERTH_RUN_DIR'];
      else process.env['BERTH_RUN_DIR'] = before;
    }
  });
});
