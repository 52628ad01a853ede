// The C headers of the pinned Node. They come in the npm package that also holds its binary, but npm removes that
// package again at the next `npm install`; then they are taken from the registry a second time, the same version.
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

const ROOT = join(import.meta.dirname, '..');

/** The folder to give node-gyp as `--nodedir`: it holds `include/node/`. */
export async function nodeHeaders(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'node_modules/node/package.json'), 'utf8')) as { version: string };
  const packageName = `node-${process.platform}-${process.arch}`;
  const installed = join(ROOT, 'node_modules/node/node_modules', packageName);
  if (await hasHeaders(installed)) return installed;
  const fetched = join(ROOT, 'build/tools', `node-headers-${version}-${process.arch}`);
  if (!(await hasHeaders(fetched))) await fetchHeaders(`${packageName}@${version}`, fetched);
  return fetched;
}

async function hasHeaders(folder: string): Promise<boolean> {
  return access(join(folder, 'include/node/uv.h')).then(
    () => true,
    () => false,
  );
}

async function fetchHeaders(packageSpec: string, target: string): Promise<void> {
  console.log(`addon: fetching the headers in ${packageSpec}`);
  const unpacked = `${target}.${process.pid}`;
  await mkdir(unpacked, { recursive: true });
  try {
    const { stdout } = await execa('npm', ['pack', '--silent', '--pack-destination', unpacked, packageSpec], { cwd: ROOT });
    const archive = join(unpacked, stdout.trim().split('\n').at(-1) ?? '');
    await execa('tar', ['-xzf', archive, '-C', unpacked, '--strip-components=1', 'package/include']);
    await rm(archive);
    await rm(target, { recursive: true, force: true });
    await rename(unpacked, target);
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}
