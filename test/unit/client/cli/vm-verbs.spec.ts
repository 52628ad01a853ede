import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vmTable } from '../../../../client/cli/vm-ls.ts';
import { diskDevices } from '../../../../client/root-disks.ts';
import { berth } from '../../../support/berth-cli.ts';

describe('berth vm', () => {
  let state: string;
  let env: Record<string, string>;

  before(async () => {
    state = await mkdtemp(join(tmpdir(), 'berth-state-'));
    env = { XDG_STATE_HOME: state };
  });

  after(() => rm(state, { recursive: true }));

  it('ls shows each VM and where its agent is, and the console of one that has ended', () => {
    const now = Date.parse('2026-01-01T00:01:05Z');
    const base = {
      supervisor: { pid: 1, startTime: '1' },
      startedAt: '2026-01-01T00:00:00Z',
      consoleLog: '/c.log',
      memory: 512,
      cpus: 1,
      disks: [],
      shares: [],
    } as unknown as Parameters<typeof vmTable>[0][number];
    const table = vmTable(
      [
        { ...base, name: 'a', status: 'running', way: 'direct', accel: 'kvm', address: 'vsock://1000:1024' },
        { ...base, name: 'b', status: 'starting' },
        { ...base, name: 'c', status: 'exited', exit: { code: null, signal: 'SIGKILL' } },
      ],
      now,
    );
    assert.deepEqual(table.split('\n'), [
      'VM   STATUS                                WAY           MEMORY   CPUS   ADDRESS',
      'a    Up 1 minute                           direct, kvm   512MiB      1   vsock://1000:1024',
      'b    Starting                              -             512MiB      1   -',
      'c    Exited (SIGKILL), console in /c.log   -             512MiB      1   -',
      '',
    ]);
  });

  it('ls is an empty list where nothing was started', async () => {
    assert.equal((await berth(['vm', 'ls', '--json'], { env })).stdout, '[]\n');
  });

  it('stop says which VM is not there', async () => {
    const { stderr, status } = await berth(['vm', 'stop', 'none'], { env });
    assert.equal(status, 125);
    assert.match(stderr, /^berth: there is no VM none/);
  });

  const refusals: [string[], RegExp][] = [
    [['--memory', 'lots'], /invalid --memory 'lots'/],
    [['--machine', 'pc'], /unknown --machine 'pc'/],
    [['--disk', 'nope'], /invalid --disk 'nope': give NAME=FILE/],
    [['--share', '/nonexistent'], /--share: ENOENT/],
    [['mine'], /'mine' is too much; name the VM with --name/],
    [['--name', '../x'], /name: "\.\.\/x" is not/],
    [['--cpus', 'two'], /invalid --cpus 'two'/],
  ];
  for (const [args, line] of refusals) {
    it(`start refuses ${args.join(' ')}`, async () => {
      const { stdout, stderr, status } = await berth(['vm', 'start', ...args], { env });
      assert.deepEqual([stdout, status], ['', 125]);
      assert.match(stderr, line);
    });
  }

  it('names the disks of a VM by their serials, after its own root', () => {
    assert.deepEqual(diskDevices([{ path: '/a', serial: 'busybox' }, { path: '/b' }, { path: '/c', serial: 'mine' }]), {
      busybox: '/dev/vdb',
      mine: '/dev/vdd',
    });
  });
});
