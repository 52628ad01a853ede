// A volume as the kubelet writes it: a new directory, a link to it swapped in, links for keys beside it, the old one removed.
import { mkdir, readdir, readlink, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export class ConfigMap {
  readonly directory: string;
  #generation = 0;

  /** @param directory is made */
  constructor(directory: string) {
    this.directory = directory;
  }

  /** In place of what was there before. */
  async write(data: Record<string, string>): Promise<void> {
    const place = (name: string) => join(this.directory, name);
    const fresh = `..2026_${this.#generation++}`;
    const old = await readlink(place('..data')).catch(() => undefined);
    await mkdir(place(fresh), { recursive: true });
    for (const [key, value] of Object.entries(data)) await writeFile(join(place(fresh), key), value, { mode: 0o640 });
    await symlink(fresh, place('..data_tmp'));
    await rename(place('..data_tmp'), place('..data'));
    for (const key of Object.keys(data)) await symlink(`..data/${key}`, place(key)).catch(() => {});
    for (const key of await readdir(this.directory)) if (!key.startsWith('..') && !(key in data)) await unlink(place(key));
    if (old !== undefined) await rm(place(old), { recursive: true });
  }
}
