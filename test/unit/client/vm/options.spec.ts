import assert from 'node:assert/strict';
import { isAgentError } from '../../../../agent/errors.ts';
import { type BootOptions, resolveOptions } from '../../../../client/vm/options.ts';

const image = { kernel: '/dev/null', initrd: '/dev/null' };

describe('the options of a guest', () => {
  it('have defaults', () => {
    const { memory, cpus, timeoutMs, waitFor } = resolveOptions({ image });
    assert.deepEqual({ memory, cpus, timeoutMs, waitFor }, { memory: 512, cpus: 1, timeoutMs: 180_000, waitFor: 'listening' });
  });

  it('make paths absolute, since QEMU runs elsewhere', () => {
    const resolved = resolveOptions({ image, disks: [{ path: 'package.json' }], shares: [{ dir: '.', tag: 'here' }] });
    assert.equal(resolved.disks[0]?.path, `${process.cwd()}/package.json`);
    assert.equal(resolved.shares[0]?.dir, process.cwd());
  });

  const disk = { path: '/dev/null' };
  const share = { dir: '/', tag: 'root' };
  const refusals: [string, BootOptions, string][] = [
    ['too little memory', { memory: 1 }, 'memory'],
    ['half a processor', { cpus: 0.5 }, 'cpus'],
    ['a disk that is not there', { disks: [disk, { path: '/nonexistent' }] }, 'disks[1].path'],
    ['a serial longer than virtio has room for', { disks: [{ ...disk, serial: 'x'.repeat(21) }] }, 'disks[0].serial'],
    ['more disks than there is room for', { disks: Array.from({ length: 17 }, () => disk) }, 'disks'],
    ['a shared directory that is not there', { shares: [{ dir: '/nonexistent', tag: 'x' }] }, 'shares[0].dir'],
    ['a tag used twice', { shares: [share, share] }, 'shares[1].tag'],
    ['a tag that is no word', { shares: [{ dir: '/', tag: 'a,b' }] }, 'shares[0].tag'],
    ['a group address for a card', { nics: [{ mac: '01:00:00:00:00:01', socket: '/dev/null' }] }, 'nics[0].mac'],
    ['a socket that is not there', { nics: [{ mac: '02:00:00:00:00:01', socket: '/nonexistent' }] }, 'nics[0].socket'],
    ['a word of the command line that is two', { cmdline: ['a b'] }, 'cmdline'],
    ['a kernel that is not there', { image: { ...image, kernel: '/nonexistent' } }, 'image.kernel'],
  ];
  for (const [what, options, field] of refusals) {
    it(`refuse ${what}, naming ${field}`, () => {
      assert.throws(
        () => resolveOptions({ image, ...options }),
        (error) => isAgentError(error) && error.fields['field'] === field,
      );
    });
  }
});
