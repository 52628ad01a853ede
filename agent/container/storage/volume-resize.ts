// Makes a mounted volume larger, or a tmpfs as large or small as asked. The device below has been made larger by the host.
import { MS, type Native } from '../../../native/index.ts';
import { AgentError, fromErrno } from '../../errors.ts';
import { type MountEntry, readMounts } from '../../guest/mount-table.ts';
import { runTool } from '../../process/tool.ts';
import { checkAbsolutePath } from '../spec/paths.ts';
import { withDirectory } from './guest-path.ts';
import { parseMountOptions } from './mount-options.ts';
import type { StorageDoor } from './storage.ts';

const TIMEOUT_MS = 50_000;
const KIB = 1024n;
/** Of one file system; far above any, and still a number that tools take. */
const MAX_BYTES = 1n << 60n;

export interface ResizeDoor {
  readonly door: StorageDoor & Pick<Native, 'growXfs'>;
  readonly mounts?: () => Promise<readonly MountEntry[]>;
  readonly run?: typeof runTool;
}

/**
 * @param path where the volume is mounted
 * @param size in bytes
 * @throws failed_precondition where nothing is mounted; unimplemented for a file system that has no way; internal with the tool's complaint
 */
export async function resizeVolume(
  path: string,
  size: bigint,
  { door, mounts = readMounts, run = runTool }: ResizeDoor,
): Promise<void> {
  const target = checkAbsolutePath(path, 'volume_guest_path');
  if (size === 0n || size > MAX_BYTES) {
    throw new AgentError('invalid_argument', `size: ${size} is no size of a volume`, { fields: { field: 'size' } });
  }
  const mount = (await mounts()).findLast((entry) => entry.target === target);
  if (mount === undefined) {
    throw new AgentError('failed_precondition', `no volume is mounted on ${target}`, { fields: { path: target } });
  }
  switch (mount.fstype) {
    case 'tmpfs':
      return await resizeTmpfs(target, mount, size, door);
    case 'ext2':
    case 'ext3':
    case 'ext4':
      await run('resize2fs', [mount.source, `${size / KIB}K`], { timeoutMs: TIMEOUT_MS });
      return;
    case 'xfs':
      return await growXfs(target, size, door);
    default:
      throw new AgentError(
        'unimplemented',
        `resize_volume is not implemented for ${mount.fstype}, the file system of ${target}`,
        {
          fields: { path: target, fstype: mount.fstype },
        },
      );
  }
}

/** There is no tool in the guest: the one that there is would bring a Python with it. */
async function growXfs(target: string, size: bigint, door: Pick<Native, 'growXfs'>): Promise<void> {
  try {
    await withDirectory(target, {}, (directory) => door.growXfs(`${directory}/.`, size));
  } catch (error) {
    throw fromErrno(error, `resize ${target}`, { path: target });
  }
}

async function resizeTmpfs(target: string, { options }: MountEntry, size: bigint, door: StorageDoor): Promise<void> {
  const { flags } = parseMountOptions(options);
  try {
    await withDirectory(target, {}, (directory) => door.mount('tmpfs', directory, 'tmpfs', flags | MS.REMOUNT, `size=${size}`));
  } catch (error) {
    throw fromErrno(error, `resize ${target}`, { path: target });
  }
}
