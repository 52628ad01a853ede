// copyMount, between processes that have mount namespaces and roots of their own.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../../native/index.ts';
import { assertNoFdLeak, CAP_SYS_ADMIN, hasCapability, run, systemError } from './fixture.ts';

/** A root of its own, as of a container: a tmpfs that has been pivoted to, with a mount at /made. */
const CONTAINER = `
mount -t tmpfs tmpfs "$1" && cd "$1" && mkdir -p old usr made bin lib lib64 tmp && mount --rbind /usr usr
for name in bin lib lib64; do mount --rbind /$name $name; done
pivot_root . old && cd / && mkdir proc dev && mount -t proc proc /proc && touch dev/null && umount -l /old && umount /proc
mount -t tmpfs -o size=1m made /made && echo content > /made/file && mkdir /made/below && mount -t tmpfs below /made/below
echo text > /single && touch /bound && mount --bind /single /bound
echo ready; exec sleep 60
`;

/** AddressSanitizer in every program started here looks into /proc as it begins, and waits for ever where there is none. */
const UNSANITIZED = ['-u', 'LD_PRELOAD'];

describe('native copyMount', () => {
  const privileged = hasCapability(CAP_SYS_ADMIN);
  const folder = mkdtempSync(join(tmpdir(), 'berth-copy-'));
  const children: ChildProcess[] = [];
  let source: number;
  let target: number;
  let targetPid: number;

  async function container(name: string): Promise<number> {
    mkdirSync(join(folder, name));
    const child = spawn('env', [...UNSANITIZED, 'unshare', '-m', 'sh', '-c', CONTAINER, 'sh', join(folder, name)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    await once(child.stdout!, 'data');
    return child.pid!;
  }
  const inTarget = (script: string) =>
    run('/usr/bin/env', [...UNSANITIZED, 'nsenter', '-m', '-r', '-t', String(targetPid), 'sh', '-c', script]).then(({ stdout }) =>
      stdout.trim(),
    );
  const copy = (from: string, to: string) => native().copyMount(source, from, target, to);

  before(async function () {
    if (!privileged) return this.skip();
    source = native().pidfdOpen(await container('source'));
    targetPid = await container('target');
    target = native().pidfdOpen(targetPid);
  });
  after(async () => {
    for (const fd of privileged ? [source, target] : []) native().close(fd);
    for (const child of children) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    rmSync(folder, { recursive: true });
  });

  it('puts the mount, and those below it, where the target wants it, and nowhere else', async () => {
    const own = readFileSync('/proc/self/mountinfo', 'utf8');
    await assertNoFdLeak(4, () => copy('/made', '/new/place'));
    assert.equal(await inTarget('cat /new/place/file'), 'content');
    assert.match(await inTarget('mount -t proc proc /tmp && cat /tmp/self/mounts'), /below \/new\/place\/below/);
    assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), own);
    assert.ok(!existsSync('/new/place'));
  });

  it('puts a file on a file', async () => {
    await copy('/bound', '/etc/single');
    assert.equal(await inTarget('cat /etc/single'), 'text');
  });

  it('takes every link as the target does: none leads out of its root', async () => {
    await inTarget(
      `ln -s ${folder}/outside /absolute; ln -s ../../../..${folder}/outside /climbing; mkdir /real; ln -s real /inside`,
    );
    mkdirSync(join(folder, 'outside'));
    await copy('/made', '/absolute').catch(() => {});
    await copy('/made', '/climbing/x').catch(() => {});
    await copy('/made', '/inside/x');
    assert.equal(await inTarget('cat /real/x/file'), 'content');
    assert.ok(!existsSync(join(folder, 'outside/file')));
    assert.ok(!existsSync(join(folder, 'outside/x')));
  });

  it('follows no link of /proc, which would lead out of the root', async () => {
    await inTarget('mount -t proc proc /proc; ln -s /proc/self/root /magic');
    await assert.rejects(copy('/made', `/magic${folder}/outside`), systemError('ELOOP', 'openat2', `/magic${folder}/outside`));
  });

  it('rejects a source that is not there, a process that is gone, and relative paths', async () => {
    await assert.rejects(copy('/none', '/x'), systemError('ENOENT', 'openat2', '/none'));
    const gone = spawn('sleep', ['60']);
    const pidfd = native().pidfdOpen(gone.pid!);
    gone.kill('SIGKILL');
    await once(gone, 'exit');
    await assert.rejects(native().copyMount(pidfd, '/made', target, '/x'), systemError('ESRCH', 'setns', undefined));
    native().close(pidfd);
    await assert.rejects(copy('made', '/x'), { name: 'TypeError', message: /"sourcePath"/ });
    await assert.rejects(copy('/made', 'x'), { name: 'TypeError', message: /"targetPath"/ });
    writeFileSync(join(folder, 'done'), '');
  });
});
