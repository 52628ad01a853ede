// mount, host name, clock, power and heap. What would change this machine runs in namespaces of its own.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { native } from '../../../native/index.ts';
import { CAP_SYS_ADMIN, hasCapability, runNode, systemError } from './fixture.ts';

describe('native machine', function () {
  this.timeout(60_000); // starts Nodes, slow on a busy machine
  const mayMount = hasCapability(CAP_SYS_ADMIN);

  it('mounts with flags and options, and unmounts', async function () {
    if (!mayMount) return this.skip();
    const script = `
      const { readFileSync } = await import('node:fs');
      const line = () => readFileSync('/proc/self/mountinfo', 'utf8').split('\\n').filter((text) => text.includes(' /mnt ')).join();
      await addon.mount('source name', '/mnt', 'tmpfs', 1 | 2 | 4, 'size=4096k,mode=0700');
      process.stdout.write(line() + '\\n');
      await addon.umount('/mnt', 0);
      process.stdout.write('left: ' + line());`;
    const { stdout } = await runNode(script, 'unshare --mount');
    assert.match(stdout, / \/mnt ro,nosuid,nodev,relatime - tmpfs source\\040name ro,size=4096k,mode=700/);
    assert.match(stdout, /\nleft: $/);
  });

  it('names the target in the error of mount and umount', async () => {
    const [mountCode, umountCode] = mayMount ? ['ENOENT', 'ENOENT'] : ['EPERM', 'EPERM'];
    const missing = '/no/such/folder';
    await assert.rejects(native().mount('none', missing, 'tmpfs', 0, ''), systemError(mountCode, 'mount', missing));
    await assert.rejects(native().umount(missing, 0), systemError(umountCode, 'umount2', missing));
  });

  it('tells ENODEV for a file system the kernel does not have', async function () {
    if (!mayMount) return this.skip();
    await assert.rejects(native().mount('none', '/mnt', 'nosuchfs', 0, ''), systemError('ENODEV', 'mount', '/mnt'));
  });

  it('rejects, and does not throw, for arguments of the wrong kind', async () => {
    const pending = native().mount('none', 1 as never, 'tmpfs', 0, '');
    await assert.rejects(pending, { name: 'TypeError', message: /"target"/ });
    await assert.rejects(native().umount('/mnt', -1), { name: 'TypeError', message: /"flags"/ });
  });

  it('reads files as ever while 40 mounts hang, and refuses the one too many', async function () {
    if (!mayMount || !existsSync('/dev/fuse')) return this.skip();
    // A file system that nobody serves: to walk into it is to hang, until its device is closed.
    const script = `
      const fs = await import('node:fs');
      const fuse = fs.openSync('/dev/fuse', 'r+');
      await addon.mount('nobody', '/mnt', 'fuse', 0, 'fd=' + fuse + ',rootmode=40000,user_id=0,group_id=0');
      const hung = Array.from({ length: 40 }, () => addon.mount('none', '/mnt/into', 'tmpfs', 0, '').catch((error) => error.code));
      const text = await fs.promises.readFile('/proc/self/status', 'utf8');
      for (let i = 0; i < 24; i++) hung.push(addon.umount('/mnt/into', 0).catch((error) => error.code));
      const refused = await addon.umount('/mnt/into', 0).catch((error) => error.code + ' ' + error.syscall);
      fs.closeSync(fuse);
      const codes = new Set(await Promise.all(hung));
      await addon.umount('/mnt', 0);
      process.stdout.write(JSON.stringify([text.length > 0, refused, [...codes]]));`;
    const { stdout } = await runNode(script, 'exec timeout 20 unshare --mount');
    const [read, refused, codes] = JSON.parse(stdout || '[]') as [boolean, string, string[]];
    assert.deepEqual([read, refused], [true, 'EAGAIN pthread_create']);
    assert.ok(codes.length === 1 && ['ECONNABORTED', 'ENOTCONN'].includes(codes[0]!), codes.join());
  });

  it('refuses a time that is none', () => {
    const refused = mayMount ? 'EINVAL' : 'EPERM';
    assert.throws(() => native().setTimeOfDay(-1n, 0), systemError(refused, 'settimeofday'));
    assert.throws(() => native().setTimeOfDay(0n, 1_000_000), { name: 'TypeError', message: /"microseconds"/ });
    assert.throws(() => native().setTimeOfDay(2n ** 63n, 0), { name: 'TypeError', message: /"seconds"/ });
    assert.throws(() => native().setTimeOfDay(1 as never, 0), { name: 'TypeError', message: /"seconds"/ });
  });

  it('gives free heap back to the kernel', async () => {
    const script = `
      const { readFileSync } = await import('node:fs');
      const heapMiB = () => Number(/^RssAnon:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
      const start = heapMiB();
      // Pieces too small for mmap, one kept in sixteen: no end of the heap is free, only holes in it.
      let pieces = Array.from({ length: 8192 }, () => Buffer.alloc(16_384, 1));
      const full = heapMiB();
      pieces = pieces.filter((_, at) => at % 16 === 0);
      for (let i = 0; i < 3; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
      const freed = heapMiB();
      addon.mallocTrim();
      process.stdout.write(JSON.stringify({ grown: full - start, freed: freed - start, trimmed: heapMiB() - start }));`;
    const { stdout } = await runNode(script, '', { NODE_OPTIONS: '--expose-gc' });
    const { grown, freed, trimmed } = JSON.parse(stdout) as Record<'grown' | 'freed' | 'trimmed', number>;
    assert.ok(grown > 100 && freed - trimmed > 20, stdout);
  });
});
