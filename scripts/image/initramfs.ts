// The archives a kernel unpacks before it has a root file system: the guest's two and the emulated host's.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type CpioEntry, cpioArchive } from './cpio.ts';

/** A kernel as rootfs/kernels.sh lays it out: load-order (`name` or `name modalias`) and stage1/. */
async function moduleEntries(kernel: string, folder: string): Promise<{ entries: CpioEntry[]; list: string }> {
  const order = (await readFile(path.join(kernel, 'load-order'), 'utf8')).split('\n').filter(Boolean);
  const entries: CpioEntry[] = [];
  for (const name of new Set(order.map((line) => line.split(' ')[0]!))) {
    entries.push({ path: `${folder}/${name}`, type: 'file', content: await readFile(path.join(kernel, 'stage1', name)) });
  }
  return { entries, list: order.map((line) => `/${folder}/${line}\n`).join('') };
}

const BASE: readonly CpioEntry[] = [
  { path: 'dev', type: 'directory' },
  { path: 'dev/console', type: 'character', major: 5, minor: 1 },
  { path: 'proc', type: 'directory' },
  { path: 'sys', type: 'directory' },
];

/** Stage 1 of the guest: berth-init and the modules it loads; with `root`, an EROFS image, no disk is needed. */
export async function guestInitramfs(kernel: string, init: string, root?: string): Promise<Buffer> {
  const { entries, list } = await moduleEntries(kernel, 'berth-stage1/ko');
  entries.push(...BASE, { path: 'init', type: 'file', content: await readFile(init), mode: 0o755 });
  entries.push({ path: 'berth-stage1', type: 'directory' }, { path: 'berth-stage1/ko', type: 'directory' });
  entries.push({ path: 'berth-stage1/modules', type: 'file', content: Buffer.from(list) });
  if (root !== undefined) entries.push({ path: 'berth-stage1/root.erofs', type: 'file', content: await readFile(root) });
  return cpioArchive(entries);
}

/** The emulated host's: busybox, the modules, and the script that enters the real machine's file system. */
export async function hostInitramfs(kernel: string, busybox: string, script: string): Promise<Buffer> {
  const { entries, list } = await moduleEntries(kernel, 'modules');
  entries.push(...BASE, { path: 'init', type: 'file', content: await readFile(script), mode: 0o755 });
  entries.push(
    { path: 'bin', type: 'directory' },
    { path: 'bin/busybox', type: 'file', content: await readFile(busybox), mode: 0o755 },
  );
  entries.push({ path: 'modules', type: 'directory' }, { path: 'modules/load-order', type: 'file', content: Buffer.from(list) });
  return cpioArchive(entries);
}
