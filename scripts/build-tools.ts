// Programs of Debian unstable that run as they are on Debian 12 and 13, unpacked into build/tools: the vsock device for
// machines without vhost-vsock. Nothing is installed on the machine.
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runLogged } from './bootstrap/progress.mjs';
import { LOGS, TOOLS } from './build/paths.ts';
import { runStep } from './build/step.ts';
import { downloadPackages } from './image/private-apt.ts';

/** Debian package -> the program in it. */
const PROGRAMS: Readonly<Record<string, string>> = { 'vhost-device-vsock': 'usr/bin/vhost-device-vsock' };

/** Brings build/tools up to date. */
export async function buildTools(): Promise<void> {
  await runStep({
    id: 'tools',
    label: `tools (${Object.keys(PROGRAMS).join(', ')})`,
    inputs: ['scripts/build-tools.ts'],
    outputs: Object.values(PROGRAMS).map((program) => path.join(TOOLS, path.basename(program))),
    run: unpackTools,
  });
}

async function unpackTools(): Promise<void> {
  const log = path.join(LOGS, 'tools.log');
  const work = await mkdtemp(path.join(tmpdir(), 'berth-tools-'));
  try {
    await downloadPackages('unstable', Object.keys(PROGRAMS), work, log);
    for (const deb of (await readdir(work)).filter((name) => name.endsWith('.deb'))) {
      await runLogged(['dpkg-deb', '-x', path.join(work, deb), path.join(work, 'tree')], { log });
    }
    await mkdir(TOOLS, { recursive: true });
    for (const program of Object.values(PROGRAMS)) {
      const target = path.join(TOOLS, path.basename(program));
      // A running copy can't be written to, but its name can be taken.
      await rm(target, { force: true });
      await copyFile(path.join(work, 'tree', program), target);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

if (import.meta.main) await buildTools();
