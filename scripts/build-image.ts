// Builds what a guest boots from into build/image: kernel, initramfs and root image, two images to run containers from,
// and the kernel and initramfs of the emulated host.
import { copyFile, cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { AGENT, BUILD, GUEST, IMAGE, LOGS, ROOT, TREES } from './build/paths.ts';
import { forgetStep, runStep } from './build/step.ts';
import { buildBase, hasBase } from './image/base.ts';
import { addBootSector } from './image/boot-sector.ts';
import { buildStage, chooseBuilder } from './image/builder.ts';
import { mkfsVersion, packErofs } from './image/erofs.ts';
import { guestInitramfs, hostInitramfs } from './image/initramfs.ts';
import { manifest } from './image/manifest.ts';
import { selfStartingKernel } from './image/self-starting-kernel.ts';
import { normaliseTree, removeTree, unpackTree } from './image/tree.ts';

const log = path.join(LOGS, 'image.log');
const INIT = path.join(BUILD, 'native/berth-init');
const KIT = path.join(TREES, 'kit');
const CODE = ['scripts/build-image.ts', 'scripts/image', 'scripts/build/step.ts'];

const DOCKERFILE = ['Dockerfile', 'rootfs'];

const image = (name: string) => path.join(IMAGE, name);

/** The part of build/image that holds nothing of ours: kernels, the emulated host, images to run containers from. */
export async function buildKit(): Promise<void> {
  const builder = await chooseBuilder();
  await mkdir(IMAGE, { recursive: true });
  if (builder === 'buildah') await stepBase();
  await runStep({
    id: 'image-kit',
    label: `guest image: kernels and container images (${builder})`,
    inputs: [...DOCKERFILE, ...CODE],
    facts: [builder, (await mkfsVersion()).version],
    outputs: [...['vmlinuz', 'host-vmlinuz', 'host-initramfs.cpio.gz', 'busybox.erofs', 'debian.erofs'].map(image), KIT],
    run: async () => {
      await stage(builder, 'kit', packKit);
      await stage(builder, 'container', async (archive) => {
        const tree = path.join(TREES, 'container');
        await unpackTree(archive, tree, log);
        await packErofs(tree, image('debian.erofs'), log);
        await removeTree(tree, log);
      });
    },
  });
}

/** The guest's root and initramfs. The kit, the agent, the addon and berth-init have to be built. */
export async function buildRoot(): Promise<void> {
  const builder = await chooseBuilder();
  await stepGuestFiles();
  await runStep({
    id: 'image-root',
    label: `guest image: root file system (${builder})`,
    // The modules in the root have to be those of the kernel beside it.
    inputs: [...DOCKERFILE, ...CODE, GUEST, path.join(KIT, 'guest/version')],
    facts: [builder, (await mkfsVersion()).version],
    outputs: ['initramfs.cpio.gz', 'root.erofs', 'initrd-full.cpio', 'vmlinuz-stage1', 'manifest.json'].map(image),
    run: async () => {
      await stage(builder, 'guest', async (archive) => {
        const tree = path.join(TREES, 'guest');
        await unpackTree(archive, tree, log);
        await packErofs(tree, image('root.erofs'), log);
        const stage1 = gzipSync(await guestInitramfs(path.join(KIT, 'guest'), INIT), { level: 6 });
        await write('initramfs.cpio.gz', stage1);
        await write('vmlinuz-stage1', selfStartingKernel(await readFile(image('vmlinuz')), stage1));
        await write('initrd-full.cpio', await guestInitramfs(path.join(KIT, 'guest'), INIT, image('root.erofs')));
        await addBootSector(image('root.erofs'));
        await write('manifest.json', await manifest(tree, KIT, IMAGE));
        await removeTree(tree, log);
      });
    },
  });
}

/** Everything that /usr/lib/berth holds: node, which seldom changes, and apart from it the agent and its parts. */
async function stepGuestFiles(): Promise<void> {
  const node = path.join(ROOT, 'node_modules/node/bin/node');
  const addon = path.join(BUILD, 'native/berth.node');
  await runStep({
    id: 'guest-files',
    label: 'guest files',
    inputs: [node, addon, INIT, AGENT, 'scripts/build-image.ts'],
    outputs: [path.join(GUEST, 'node'), path.join(GUEST, 'agent/main.js')],
    run: async () => {
      await rm(GUEST, { recursive: true, force: true });
      await cp(AGENT, path.join(GUEST, 'agent'), { recursive: true });
      await execa('strip', ['-s', '-o', path.join(GUEST, 'node'), node]);
      await execa('strip', ['--strip-unneeded', '-o', path.join(GUEST, 'agent/berth.node'), addon]);
      await copyFile(INIT, path.join(GUEST, 'agent/berth-init'));
    },
  });
}

async function stepBase(): Promise<void> {
  if (!(await hasBase())) await forgetStep('image-base');
  await runStep({
    id: 'image-base',
    label: 'guest image: Debian 13 base (mmdebstrap)',
    inputs: ['scripts/image/base.ts'],
    outputs: [],
    run: buildBase,
  });
}

/** Builds a stage, hands its archive to `use`, and removes it. */
async function stage(
  builder: Parameters<typeof buildStage>[0],
  name: string,
  use: (archive: string) => Promise<void>,
): Promise<void> {
  const archive = path.join(TREES, `${name}.tar`);
  await buildStage(builder, name, archive);
  await use(archive);
  await rm(archive);
}

async function packKit(archive: string): Promise<void> {
  await unpackTree(archive, KIT, log, false);
  const kernel = (name: string) => path.join(KIT, name);
  await copyFile(kernel('guest/vmlinuz'), image('vmlinuz'));
  await copyFile(kernel('host/vmlinuz'), image('host-vmlinuz'));
  const script = path.join(ROOT, 'rootfs/host-init.sh');
  await write(
    'host-initramfs.cpio.gz',
    gzipSync(await hostInitramfs(kernel('host'), kernel('busybox/bin/busybox'), script), { level: 6 }),
  );
  await normaliseTree(kernel('busybox'), log);
  await packErofs(kernel('busybox'), image('busybox.erofs'), log, true);
}

/** Replaces a file whole: a guest that is booting reads the old one to its end. */
async function write(name: string, content: Uint8Array | string): Promise<void> {
  await writeFile(image(`${name}.new`), content);
  await rename(image(`${name}.new`), image(name));
}
