// The kernel command line as stage 1 reads it, under AddressSanitizer and UndefinedBehaviorSanitizer.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import fc from 'fast-check';

const ROOT = join(import.meta.dirname, '../../..');
const DRIVER = join(ROOT, 'build/native/asan/cmdline-driver');

async function values(cases: readonly [key: string, cmdline: string][]): Promise<string[]> {
  const input = cases.map(([key, cmdline]) => `${key}\t${cmdline}\n`).join('');
  const { stdout } = await execa(DRIVER, [], { input: Buffer.from(input, 'latin1') });
  return stdout.split('\n');
}

describe('the kernel command line', function () {
  this.timeout(30_000);

  before(async () => {
    await mkdir(join(ROOT, 'build/native/asan'), { recursive: true });
    const init = join(ROOT, 'native/init');
    const sources = [join(import.meta.dirname, 'cmdline-driver.c'), join(init, 'proc.c')];
    await execa('gcc', [
      '-std=c11',
      '-g',
      '-fsanitize=address,undefined',
      '-fno-sanitize-recover=all',
      '-I',
      init,
      '-o',
      DRIVER,
      ...sources,
    ]);
  });

  it('is split at white space outside quotes, the last value wins, and what follows -- is not read', async () => {
    const cases: [key: string, cmdline: string, expected: string][] = [
      ['root', 'quiet root=/dev/vda ro', '=/dev/vda'],
      ['root', 'root=/dev/vda root=/dev/vdb', '=/dev/vdb'],
      ['root', 'rootfstype=ext4 xroot=1 root2=2', 'none'],
      ['root', '', 'none'],
      ['root', '   ', 'none'],
      ['root', 'root=', '='],
      ['root', 'root', '='],
      ['rw', 'ro rw', '='],
      ['rw', 'rwx', 'none'],
      ['rootflags', 'rootflags=data=ordered,errors=remount-ro ro', '=data=ordered,errors=remount-ro'],
      ['rootflags', 'rootflags="a b" ro', '=a b'],
      ['rootflags', '"rootflags=a b" ro', '=a b'],
      ['rootflags', 'x="root=1 rootflags=2" ro', 'none'],
      ['rootflags', 'rootflags="a b', '=a b'],
      ['root', 'root=1 -- root=2', '=1'],
      ['root', 'root=1 --x root=2', '=2'],
      ['root', `root=1 root=${'x'.repeat(64)}`, '=1'],
      ['root', `root=1 root=${'x'.repeat(63)}`, `=${'x'.repeat(63)}`],
      ['root', `pad=${'y'.repeat(600)} root=1 root=${'x'.repeat(600)}`, '=1'],
    ];
    const got = await values(cases.map(([key, cmdline]) => [key, cmdline]));
    assert.deepEqual(
      got,
      cases.map((one) => one[2]),
    );
  });

  it('is read without a fault, whatever the host wrote', async () => {
    const character = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...' \t"=-root') },
      fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    );
    const line = fc.array(character, { maxLength: 900 }).map((all) => all.join('').replace(/[\n\r]/g, ' '));
    const lines = fc.sample(line, 3000);
    const answers = await values(lines.map((text) => ['root', text]));
    assert.equal(answers.length, lines.length);
  });
});
