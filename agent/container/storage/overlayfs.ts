// `overlayfs`: layers one over the other; with `overlay-rw` a writable layer of the container's own on top.
import { join } from 'node:path';
import { AgentError } from '../../errors.ts';
import { checkContainerId } from '../spec/ids.ts';
import { checkAbsolutePath, isWithin } from '../spec/paths.ts';
import { makeDirectory } from './guest-path.ts';
import { parseMountOptions, takeOption } from './mount-options.ts';
import { mountOverlay, splitLayers } from './overlay.ts';
import type { Storage, StorageDriver, StorageHost } from './storage.ts';

const READ_WRITE = 'io.katacontainers.fs-opt.overlay-rw';
const CREATE_DIRECTORY = 'io.katacontainers.volume.overlayfs.create_directory';

export const overlayfs: StorageDriver = {
  name: 'overlayfs',
  attach: async (storage, host, containerId) => {
    await makeAskedDirectories(storage, host);
    const options = storage.options.flatMap((option) => option.split(/(?<!\\),/));
    const lower = takeOption(options, 'lowerdir');
    const upper = takeOption(lower.rest, 'upperdir');
    const work = takeOption(upper.rest, 'workdir');
    if (lower.value === undefined) throw invalid('options', 'name no `lowerdir`');
    if ((upper.value === undefined) !== (work.value === undefined)) {
      throw invalid('options', 'name only one of `upperdir` and `workdir`');
    }
    const asked = upper.value === undefined ? undefined : { upper: upper.value, work: work.value! };
    const writable = (await writableLayer(storage, host, containerId)) ?? asked;
    const layers = { lower: splitLayers(lower.value), writable };
    return await mountOverlay(host.door, storage.mountPoint, layers, parseMountOptions(work.rest));
  },
};

/** The upper and work directories, in the container's bundle and removed with it. */
async function writableLayer(storage: Storage, { bundleDir }: StorageHost, containerId: string | undefined) {
  if (!storage.driverOptions.includes(READ_WRITE)) return undefined;
  if (containerId === undefined) throw invalid('driver_options', `${READ_WRITE} needs a container`);
  const upper = join(bundleDir, checkContainerId(containerId), 'upper');
  const work = join(bundleDir, containerId, 'work');
  await makeDirectory(upper);
  await makeDirectory(work);
  return { upper, work };
}

async function makeAskedDirectories({ driverOptions }: Storage, { bundleDir }: StorageHost): Promise<void> {
  for (const option of driverOptions.filter((option) => option.startsWith(`${CREATE_DIRECTORY}=`))) {
    const path = checkAbsolutePath(option.slice(CREATE_DIRECTORY.length + 1), 'storages[].driver_options');
    if (!isWithin(path, bundleDir)) throw invalid('driver_options', `${path} is not below ${bundleDir}`);
    await makeDirectory(path);
  }
}

function invalid(field: string, problem: string): AgentError {
  return new AgentError('invalid_argument', `storages[].${field}: ${problem}`, { fields: { field } });
}
