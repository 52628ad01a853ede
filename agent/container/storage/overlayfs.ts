// `overlayfs`: layers one over the other; with `overlay-rw` a writable layer of the container's own on top.
import { join } from 'node:path';
import { AgentError } from '../../errors.ts';
import { checkContainerId } from '../spec/ids.ts';
import { checkAbsolutePath, isWithin } from '../spec/paths.ts';
import { parseMountOptions, takeOption } from './mount-options.ts';
import { makeDirectory, mountOn, unmountFrom } from './mount-target.ts';
import type { Storage, StorageDriver, StorageHost } from './storage.ts';

const READ_WRITE = 'io.katacontainers.fs-opt.overlay-rw';
const CREATE_DIRECTORY = 'io.katacontainers.volume.overlayfs.create_directory';

export const overlayfs: StorageDriver = {
  name: 'overlayfs',
  attach: async (storage, host, containerId) => {
    await makeAskedDirectories(storage, host);
    const options = [...storage.options, ...(await writableLayer(storage, host, containerId))];
    if (takeOption(options, 'lowerdir').value === undefined) throw invalid('options', 'name no `lowerdir`');
    await mountOn(host.door, storage.mountPoint, { source: 'overlay', fstype: 'overlay' }, parseMountOptions(options));
    return () => unmountFrom(host.door, storage.mountPoint);
  },
};

/** The upper and work directories, in the container's bundle and removed with it. */
async function writableLayer(storage: Storage, { bundleDir }: StorageHost, containerId: string | undefined): Promise<string[]> {
  if (!storage.driverOptions.includes(READ_WRITE)) return [];
  if (containerId === undefined) throw invalid('driver_options', `${READ_WRITE} needs a container`);
  const upper = join(bundleDir, checkContainerId(containerId), 'upper');
  const work = join(bundleDir, containerId, 'work');
  await makeDirectory(upper);
  await makeDirectory(work);
  return [`upperdir=${upper}`, `workdir=${work}`];
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
