// Programs of the guest itself, started for real through berth-init --launch.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LaunchSpec, launchInGuest } from '../../../agent/process/launcher.ts';
import { readChunks, socketFromFd } from '../../../agent/transport/pipe-handle.ts';
import { native } from '../../../native/index.ts';
import { BUILDS, binaryOf } from '../init/supervised.ts';

const PLAIN: LaunchSpec = {
  args: ['true'],
  env: ['PATH=/usr/bin:/bin'],
  uid: 0,
  gid: 0,
  groups: [],
  limits: [],
  noNewPrivileges: false,
  oomScoreAdj: 0,
  terminal: false,
};

for (const build of BUILDS) {
  describe(`a program started by ${build.name} --launch`, () => {
    let launcher: string;

    before(async function () {
      this.timeout(120_000);
      launcher = await binaryOf(build);
    });

    /** What it prints until it has ended. */
    async function output(spec: Partial<LaunchSpec>): Promise<string> {
      const door = native();
      const [read, write] = door.pipe();
      const pid = await launchInGuest(launcher, { ...PLAIN, ...spec }, [-1, write, write]);
      assert.ok(pid > 1);
      door.close(write);
      let text = '';
      await new Promise<void>((resolve) => {
        const socket = readChunks(socketFromFd(read), (chunk) => {
          text += chunk.toString();
          return true;
        });
        socket.once('end', () => socket.destroy());
        socket.once('close', () => resolve());
      });
      return text;
    }

    const refused = async (spec: Partial<LaunchSpec>) => {
      try {
        await launchInGuest(launcher, { ...PLAIN, ...spec }, [-1, -1, -1]);
      } catch (error) {
        const { code, fields } = error as { code: string; fields: Record<string, string> };
        return [fields['stage'], fields['errno'], code];
      }
      throw new Error('it was started');
    };

    it('runs with its arguments, environment and directory', async () => {
      const text = await output({
        args: ['sh', '-c', 'pwd; echo "$1" $X', 'sh', 'a b'],
        env: ['X=1', 'PATH=/bin:/usr/bin'],
        cwd: '/tmp',
      });
      assert.equal(text, '/tmp\na b 1\n');
    });

    it('leads a session of its own, and is no child of ours', async () => {
      const text = await output({ args: ['sh', '-c', 'cut -d" " -f1,4,6 /proc/$$/stat'] });
      const [pid, parent, session] = text.trim().split(' ');
      assert.equal(pid, session);
      assert.notEqual(parent, `${process.pid}`);
    });

    it('has the user, the groups, the umask and the limits that were asked for', async () => {
      const script = 'id -u; id -g; id -G; umask; ulimit -n';
      const limits = [{ kind: 7, soft: 64n, hard: 128n }];
      assert.equal(
        await output({ args: ['sh', '-c', script], uid: 1234, gid: 2345, groups: [3456], umask: 0o077, limits }),
        '1234\n2345\n2345 3456\n0077\n64\n',
      );
    });

    it('has the capabilities that were asked for, and no way to more', async () => {
      const text = await output({
        args: ['sh', '-c', 'grep -E "^(Cap|NoNewPrivs)" /proc/self/status'],
        capabilities: (1n << 12n) | (1n << 13n),
        noNewPrivileges: true,
      });
      const wanted = { CapInh: 0, CapPrm: 0x3000, CapEff: 0x3000, CapBnd: 0x3000, CapAmb: 0 };
      for (const [set, bits] of Object.entries(wanted)) {
        assert.match(text, new RegExp(`^${set}:\\s+${bits.toString(16).padStart(16, '0')}$`, 'm'));
      }
      assert.match(text, /^NoNewPrivs:\s+1$/m);
    });

    it('inherits nothing but its three streams', async () => {
      const script = 'for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done';
      assert.equal(await output({ args: ['sh', '-c', script] }), '0\n1\n2\n');
    });

    it('has the terminal it was given as its own', async () => {
      const { master, slave } = native().openPty();
      await launchInGuest(launcher, { ...PLAIN, args: ['sh', '-c', 'echo on > /dev/tty'], terminal: true }, [
        slave,
        slave,
        slave,
      ]);
      native().close(slave);
      const text = await new Promise<string>((resolve) => {
        const socket = readChunks(socketFromFd(master), (chunk) => {
          resolve(chunk.toString());
          socket.destroy();
          return true;
        });
        socket.on('error', () => {});
      });
      assert.equal(text, 'on\r\n');
    });

    it('is told by stage and errno when it can not be started', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'V1A-launch-'));
      try {
        await writeFile(join(folder, 'closed'), '#!/bin/sh\n', { mode: 0o600 });
        await writeFile(join(folder, 'noise'), 'no program', { mode: 0o700 });
        assert.deepEqual(await refused({ args: ['no-such-program'] }), ['program', 'ENOENT', 'not_found']);
        assert.deepEqual(await refused({ args: [join(folder, 'closed')] }), ['program', 'EACCES', 'permission_denied']);
        assert.deepEqual(await refused({ args: ['closed'], env: [`PATH=/bin:${folder}`] }), [
          'program',
          'EACCES',
          'permission_denied',
        ]);
        assert.deepEqual(await refused({ args: [join(folder, 'noise')] }), ['program', 'ENOEXEC', 'failed_precondition']);
        assert.deepEqual(await refused({ cwd: join(folder, 'none') }), ['directory', 'ENOENT', 'not_found']);
        assert.deepEqual(await refused({ cwd: folder, uid: 1234, gid: 1234 }), ['directory', 'EACCES', 'permission_denied']);
        assert.deepEqual(await refused({ cgroupProcs: join(folder, 'none') }), ['resources', 'ENOENT', 'not_found']);
        assert.deepEqual(await refused({ limits: [{ kind: 7, soft: 1n << 40n, hard: 1n << 40n }], uid: 1 }), [
          'resources',
          'EPERM',
          'permission_denied',
        ]);
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('has its pid in a file by the time it runs, and one that could not be started has none there', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'berth-launch-'));
      const file = (name: string) => join(folder, name);
      try {
        const own = await output({ args: ['sh', '-c', `echo $$; cat ${file('a')}`], pidFile: file('a') });
        const [pid, told] = own.split('\n');
        assert.equal(told, pid);
        await refused({ args: ['no-such-program'], pidFile: file('b') });
        await refused({ cwd: file('none'), pidFile: file('c') });
        assert.deepEqual([await readFile(file('b'), 'utf8'), await readFile(file('c'), 'utf8')], ['', '']);
        assert.deepEqual(await refused({ pidFile: file('a') }), ['resources', 'EEXIST', 'failed_precondition']);
        assert.equal(await readFile(file('a'), 'utf8'), pid);
        const noFiles = { args: ['sh', '-c', `cat ${file('d')}`], limits: [{ kind: 1, soft: 0n, hard: 0n }] };
        assert.match(await output({ ...noFiles, pidFile: file('d') }), /^[0-9]+$/);
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('leaves no descriptor behind, started or not', async () => {
      const open = async () => (await readdir('/proc/self/fd')).length;
      const before = await open();
      await output({});
      await refused({ args: ['no-such-program'] });
      for (let tries = 0; tries < 50 && (await open()) > before; tries++) await sleep(10);
      assert.equal(await open(), before);
    });
  });
}
