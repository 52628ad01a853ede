// Puts a root of several disks together and takes it apart, the overlay first (root-layers.ts says what belongs to it).
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { MS } from '../../../native/index.ts';
import { AgentError } from '../../errors.ts';
import { waitForNode } from '../../guest/devices/block-device.ts';
import { runTool } from '../../process/tool.ts';
import { checkContainerId } from '../spec/ids.ts';
import { checkAbsolutePath } from '../spec/paths.ts';
import { DEVICE_FINDERS } from './blk.ts';
import { makeDirectory, withDirectory, withEntry } from './guest-path.ts';
import { leave, make } from './made-paths.ts';
import { parseMountOptions, takeOption } from './mount-options.ts';
import { mountOn } from './mount-target.ts';
import { mountOverlay } from './overlay.ts';
import { isMade, type RootLayers } from './root-layers.ts';
import type { Detach, Storage, StorageHost } from './storage.ts';
import { Undo } from './undo.ts';

const OURS = 'X-kata.';
const MKFS_FS = 'X-kata.mkfs.fs';
const MKFS_UUID = 'X-kata.mkfs.uuid';
const MAKE_DIRECTORY = 'X-kata.mkdir.path=';
const PARTITIONED = 'X-kata.gpt-partitioned=true';
const PARTITION = 'X-kata.partition-number';
const VERITY = 'X-kata.dmverity';
const TOOL_TIMEOUT_MS = 60_000;
const MAX_PARTITION = 128;

export async function attachLayers(
  target: string,
  { upper, lower }: RootLayers,
  host: StorageHost,
  containerId: string | undefined,
): Promise<Detach> {
  const base = join(host.bundleDir, containerId === undefined ? 'sandbox' : checkContainerId(containerId), 'multi-layer');
  const undo = new Undo();
  try {
    await make(base);
    undo.add(() => leave(base));
    const top = join(base, 'upper');
    await attachLayer(upper, top, host, undo);
    const below: string[] = [];
    for (const [index, layer] of lower.entries()) {
      const place = join(base, `lower-${index}`);
      await attachLayer({ ...layer, options: [...layer.options, 'ro'] }, place, host, undo);
      below.push(place);
    }
    for (const option of upper.options) {
      if (option.startsWith(MAKE_DIRECTORY)) await makeAsked(option.slice(MAKE_DIRECTORY.length), [top, ...below]);
    }
    const writable = { upper: join(top, 'upper'), work: join(top, 'work') };
    await makeDirectory(writable.upper);
    await makeDirectory(writable.work);
    undo.add(await mountOverlay(host.door, target, { lower: below, writable }, parseMountOptions([])));
    return () => undo.all();
  } catch (error) {
    await undo.all().catch(() => {});
    throw error;
  }
}

async function attachLayer(layer: Storage, place: string, host: StorageHost, undo: Undo): Promise<void> {
  const verity = layer.options.find((option) => option.startsWith(VERITY) && !option.endsWith('=false'));
  // Never mounted without the check that was asked for.
  if (verity !== undefined) {
    throw new AgentError('unimplemented', `storages[].options: ${verity.split('=')[0]}: dm-verity is not implemented`, {
      fields: { field: 'options' },
    });
  }
  const source = await partitionOf(layer, await findDevice(layer, host, undo), host);
  const fstype = isMade(layer) ? await makeFileSystem(layer, source) : layer.fstype || 'erofs';
  // `loop` is for a file of the host; here it is a device already.
  const options = parseMountOptions(layer.options.filter((option) => !option.startsWith(OURS) && option !== 'loop'));
  undo.add(await mountOn(host.door, place, { source, fstype }, { ...options, flags: options.flags & ~MS.BIND }));
}

/** Its node, as the driver of its own names it; a file of the guest gets a loop device. */
async function findDevice({ driver, source, options }: Storage, host: StorageHost, undo: Undo): Promise<string> {
  if (driver === 'blk' || driver === 'mmioblk' || driver === 'scsi') return await DEVICE_FINDERS[driver](source, host);
  if (driver === 'erofs.multi-layer') {
    if (!source.startsWith('/') || source.startsWith(`${host.devDir}/`)) return await DEVICE_FINDERS.blk(source, host);
    return await attachLoop(checkAbsolutePath(source, 'storages[].source'), options.includes('rw'), undo);
  }
  throw new AgentError('invalid_argument', `storages[].driver: unsupported driver type '${driver}' for multi-layer erofs`, {
    fields: { field: 'driver' },
  });
}

async function attachLoop(file: string, writable: boolean, undo: Undo): Promise<string> {
  return await withEntry(file, async (entry) => {
    // The path of the descriptor would be the tool's own.
    const opened = entry.replace('/proc/self', `/proc/${process.pid}`);
    const args = ['--find', '--show', ...(writable ? [] : ['--read-only']), opened];
    const { stdout } = await runTool('losetup', args, { timeoutMs: TOOL_TIMEOUT_MS });
    const device = stdout.trim();
    undo.add(async () => void (await runTool('losetup', ['--detach', device], { timeoutMs: TOOL_TIMEOUT_MS })));
    return device;
  });
}

async function partitionOf({ options }: Storage, disk: string, host: StorageHost): Promise<string> {
  if (!options.includes(PARTITIONED)) return disk;
  const text = takeOption(options, PARTITION).value ?? '1';
  const number = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > MAX_PARTITION) throw invalid(`${PARTITION}=${JSON.stringify(text.slice(0, 40))} is no partition`);
  // The kernel's own rule: a digit at the end of the disk's name is kept apart by a `p`.
  return await waitForNode(`${disk}${/\d$/.test(disk) ? 'p' : ''}${number}`, host);
}

async function makeFileSystem({ options, fstype }: Storage, device: string): Promise<string> {
  const type = takeOption(options, MKFS_FS).value ?? (fstype.startsWith('mkfs/') ? fstype.slice('mkfs/'.length) : 'ext4');
  if (type !== 'ext4') throw invalid(`${MKFS_FS}=${JSON.stringify(type.slice(0, 40))}: only ext4 can be made`);
  const uuid = takeOption(options, MKFS_UUID).value;
  if (uuid !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid)) throw invalid(`${MKFS_UUID} is no UUID`);
  const args = ['-q', '-F', ...(uuid === undefined ? [] : ['-U', uuid]), device];
  await runTool('mkfs.ext4', args, { timeoutMs: TOOL_TIMEOUT_MS });
  return type;
}

/** `{{ mount N }}/dir[:mode]`: a directory in the upper layer (0), or in a lower one (from 1). */
async function makeAsked(directive: string, mounts: readonly string[]): Promise<void> {
  const [, index, path, mode] = /^\{\{ mount (\d{1,3}) \}\}(\/[^:]*)(?::([0-7]{1,4}))?$/.exec(directive) ?? [];
  const mount = index === undefined ? undefined : mounts[Number(index)];
  if (mount === undefined) throw invalid(`${MAKE_DIRECTORY}${directive.slice(0, 80)} names no place in a layer`);
  const inside = checkAbsolutePath(path!, 'storages[].options');
  const directory = inside === '/' ? mount : `${mount}${inside}`;
  const made = await makeDirectory(directory);
  // Not left to mkdir, which the umask has a say in.
  if (made.includes(directory) && mode !== undefined) {
    await withDirectory(directory, {}, (opened) => chmod(opened, Number.parseInt(mode, 8)));
  }
}

function invalid(problem: string): AgentError {
  return new AgentError('invalid_argument', `storages[].options: ${problem}`, { fields: { field: 'options' } });
}
