import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { debianRelease, missingPackages, wantedPackages } from '../../../scripts/bootstrap/debian.mjs';

describe('the Debian packages the project asks for', () => {
  const lists = { code: ['make', 'g++'], machines: ['make', { name: 'virtiofsd', fromRelease: 13 }] };

  it('are named once each, in order', () => assert.deepEqual(wantedPackages(lists, 13), ['g++', 'make', 'virtiofsd']));

  it('leave out what the release does not have yet', () => assert.deepEqual(wantedPackages(lists, 12), ['g++', 'make']));

  it('include everything on testing and unstable, which have no version', () => {
    assert.equal(debianRelease('PRETTY_NAME="Debian GNU/Linux forky/sid"\nID=debian\n'), Number.POSITIVE_INFINITY);
    assert.deepEqual(wantedPackages(lists, Number.POSITIVE_INFINITY), ['g++', 'make', 'virtiofsd']);
  });

  for (const { text, release } of [
    { text: 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\n', release: 12 },
    { text: 'VERSION_ID=13', release: 13 },
    { text: 'ID=ubuntu\nVERSION_ID="24.04"\n', release: 24 },
  ]) {
    it(`reads release ${release} from ${JSON.stringify(text)}`, () => assert.equal(debianRelease(text), release));
  }

  it('in the list of this checkout are plain package names by purpose', async () => {
    const file = new URL('../../../scripts/debian-packages.json', import.meta.url);
    const names = wantedPackages(JSON.parse(await readFile(file, 'utf8')), Number.POSITIVE_INFINITY);
    assert.ok(names.length > 10);
    for (const name of names) assert.match(name, /^[a-z0-9][a-z0-9+.-]+$/);
  });
});

describe('the check for missing packages', () => {
  it('takes a multi-arch package for the package', () => {
    assert.deepEqual(missingPackages(['libc6-dev', 'make'], 'libc6-dev:amd64 installed\nmake installed\n'), []);
  });

  it('names what is absent, removed with its configuration left, or only unpacked', () => {
    const listing = 'git config-files\nmake unpacked\nqemu-system-x86 installed\n';
    assert.deepEqual(missingPackages(['git', 'make', 'qemu-system-x86', 'tmux'], listing), ['git', 'make', 'tmux']);
  });

  it('is not fooled by a name that begins like another', () => {
    assert.deepEqual(missingPackages(['qemu'], 'qemu-system-x86 installed\n'), ['qemu']);
  });

  it('finds everything missing where dpkg lists nothing', () => assert.deepEqual(missingPackages(['make'], ''), ['make']));
});
