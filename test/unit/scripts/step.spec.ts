import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hashInputs } from '../../../scripts/build/step.ts';

describe("the hash of a build step's inputs", () => {
  let base: string;
  const hash = (inputs = ['src'], facts: string[] = []) => hashInputs(inputs, facts, base);

  beforeEach(async () => {
    base = await mkdtemp(path.join(tmpdir(), 'berth-step-'));
    await mkdir(path.join(base, 'src/deep'), { recursive: true });
    await writeFile(path.join(base, 'src/a'), 'one');
    await writeFile(path.join(base, 'src/deep/b'), 'two');
  });

  afterEach(() => rm(base, { recursive: true }));

  it('stays when files are only touched', async () => {
    const before = await hash();
    await utimes(path.join(base, 'src/a'), 1, 1);
    assert.equal(await hash(), before);
  });

  it('does not depend on the order inputs are named in, nor on naming one twice', async () => {
    assert.equal(await hash(['src/a', 'src/deep']), await hash(['src/deep', 'src/a', 'src/deep']));
  });

  for (const { what, change } of [
    { what: 'a content', change: (at: string) => writeFile(path.join(at, 'src/deep/b'), 'three') },
    { what: 'a name', change: (at: string) => rename(path.join(at, 'src/a'), path.join(at, 'src/c')) },
    { what: 'the executable bit', change: (at: string) => chmod(path.join(at, 'src/a'), 0o755) },
    { what: 'the set of files', change: (at: string) => writeFile(path.join(at, 'src/new'), '') },
    { what: 'a link', change: (at: string) => symlink('a', path.join(at, 'src/link')) },
    { what: 'the set of folders', change: (at: string) => mkdir(path.join(at, 'src/empty')) },
  ]) {
    it(`changes with ${what}`, async () => {
      const before = await hash();
      await change(base);
      assert.notEqual(await hash(), before);
    });
  }

  it('changes with a fact, and tells two facts from one that reads like both', async () => {
    assert.notEqual(await hash(['src'], ['gcc 12']), await hash(['src'], ['gcc 14']));
    assert.notEqual(await hash(['src'], ['a', 'b']), await hash(['src'], ['a"\nfact "b']));
  });

  it('fails on an input that is not there', () => assert.rejects(hash(['src', 'missing']), /ENOENT/));
});
