// Says what an image is made of: Debian packages with their versions, Node, the kernels, and every file's size and hash.
// Holds no date and no name of the machine, so that equal images have equal manifests.
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';

export interface Manifest {
  node: string;
  /** Kernel package and version of the guest and of the emulated host. */
  kernels: Record<'guest' | 'host', string>;
  /** Debian packages of the guest's root: name to version. */
  packages: Record<string, string>;
  files: Record<string, { bytes: number; sha256: string }>;
}

/** Name and version of every package that dpkg's status file (deb-control(5) paragraphs) says is installed. */
export function installedPackages(status: string): Record<string, string> {
  const packages: [string, string][] = [];
  for (const paragraph of status.split(/\n\n+/)) {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1];
    const name = field('Package');
    const version = field('Version');
    if (name && version && field('Status') === 'install ok installed') packages.push([name, version]);
  }
  return Object.fromEntries(packages.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** @returns the manifest of the guest whose root is in `tree`, as JSON text; `kit` holds the kernels, `image` the files */
export async function manifest(tree: string, kit: string, image: string): Promise<string> {
  const kernel = async (name: string) => (await readFile(path.join(kit, name, 'version'), 'utf8')).trim();
  const files: Manifest['files'] = {};
  for (const name of (await readdir(image)).sort()) {
    const file = path.join(image, name);
    const info = await stat(file);
    if (!info.isFile() || name === 'manifest.json' || name.endsWith('.new')) continue;
    files[name] = {
      bytes: info.size,
      sha256: createHash('sha256')
        .update(await readFile(file))
        .digest('hex'),
    };
  }
  const content: Manifest = {
    node: process.version,
    kernels: { guest: await kernel('guest'), host: await kernel('host') },
    packages: installedPackages(await readFile(path.join(tree, 'var/lib/dpkg/status'), 'utf8')),
    files,
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}
