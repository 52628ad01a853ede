import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../../agent/errors.ts';
import { identify, isAlive, parseStat, signalProcess } from '../../../../client/vm/process-identity.ts';
import { claimVm, discardVm, readVm, readVms, type VmState, writeVm } from '../../../../client/vm/vm-state.ts';

describe('the identity of a process', () => {
  it('is read past a program name with spaces and brackets', () => {
    const tail = Array.from({ length: 30 }, (_, at) => String(at + 4)).join(' ');
    assert.deepEqual(parseStat(`77 (a) b) (c) S ${tail}`), { pid: 77, startTime: '22' });
  });

  it('is nobody for a zombie', () => assert.equal(parseStat(`77 (x) Z ${'0 '.repeat(30)}`), undefined));

  it('is lost when the pid is used again', () => {
    const me = identify(process.pid)!;
    assert.ok(isAlive(me));
    const before = { ...me, startTime: String(Number(me.startTime) - 1) };
    assert.equal(isAlive(before), false);
    assert.equal(signalProcess(before, 'SIGKILL'), false, 'and the process that has it now is not touched');
  });
});

describe('the state of named VMs', () => {
  const me = identify(process.pid)!;
  const dead = { pid: process.pid, startTime: '1' };
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'vms-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function state(name: string, supervisor = me): VmState {
    const startedAt = '2026-01-01T00:00:00.000Z';
    return { name, status: 'starting', supervisor, startedAt, consoleLog: '/c', memory: 512, cpus: 1, disks: [], shares: [] };
  }

  it('is what was written, under its name', () => {
    claimVm(state('one'), root);
    writeVm({ ...state('one'), status: 'running', cid: 1000 }, root);
    assert.deepEqual(readVm('one', root), { ...state('one'), status: 'running', cid: 1000 });
    assert.equal(readVm('two', root), undefined);
    assert.deepEqual(
      readVms(root).map(({ name }) => name),
      ['one'],
    );
  });

  it('gives a name to one VM only, and leaves nothing of the second', () => {
    claimVm(state('one'), root);
    assert.throws(
      () => claimVm(state('one'), root),
      (error) => hasCode(error, 'already_exists') && /starting already/.test(error.message),
    );
    assert.deepEqual(readdirSync(root), ['one']);
  });

  it('says of a VM whose supervisor is gone that it has exited, and lets its name be taken again', () => {
    claimVm(state('one', dead), root);
    writeVm({ ...state('one', dead), status: 'running' }, root);
    assert.equal(readVm('one', root)?.status, 'exited');
    claimVm(state('one'), root);
    assert.equal(readVm('one', root)?.status, 'starting');
    assert.deepEqual(readdirSync(root), ['one']);
  });

  it('discards what belongs to the supervisor named, and not its successor', () => {
    claimVm(state('one'), root);
    discardVm('one', root, dead);
    assert.ok(readVm('one', root));
    discardVm('one', root, me);
    assert.deepEqual(readdirSync(root), []);
    discardVm('one', root, me);
  });

  it('is not read from a directory that holds none, nor from where no VM ever was', () => {
    mkdirSync(join(root, 'empty'));
    assert.deepEqual(readVms(root), []);
    assert.deepEqual(readVms(join(root, 'nowhere')), []);
    claimVm(state('empty'), root);
    assert.ok(readVm('empty', root));
  });

  it('is refused where the file is not JSON, with its path', () => {
    mkdirSync(join(root, 'bad'));
    writeFileSync(join(root, 'bad/state.json'), '{');
    assert.throws(
      () => readVm('bad', root),
      (error) => hasCode(error, 'internal') && error.message.includes('bad/state.json'),
    );
  });

  for (const name of ['', '.', '..', 'a/b', '-x', '.hidden', 'x'.repeat(64), 'a b']) {
    it(`has no VM named ${JSON.stringify(name)}`, () => {
      assert.throws(
        () => readVm(name, root),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'name',
      );
    });
  }
});
