// The directory `watchable`, in which hosts want the copies to be (kata-agent.md §5.5): the share it lies in is the host's and
// may be read-only, so the guest mounts memory of its own over it, for as long as there are copies in it.
import { MS } from '../../../../native/index.ts';
import { leave } from '../made-paths.ts';
import { mountOn, unmountFrom } from '../mount-target.ts';
import type { Detach, StorageDoor } from '../storage.ts';

const NAME = 'watchable';
/** Mount points, and the copies of single files. */
const AREA = { flags: MS.NOSUID | MS.NODEV, propagation: [], data: 'mode=755,size=64m,nr_inodes=4096' };

interface Area {
  holders: number;
  detach: Detach | undefined;
  turn: Promise<unknown>;
}

/** By the door they were mounted through, then by path. */
const areas = new WeakMap<StorageDoor, Map<string, Area>>();

/** Sees that the area of the mount point is there, if it has one. @param mounted by an earlier agent @returns what gives it back */
export async function holdArea(door: StorageDoor, mountPoint: string, { mounted = false } = {}): Promise<Detach> {
  const path = areaOf(mountPoint);
  if (path === undefined) return async () => {};
  const known = areas.get(door) ?? new Map<string, Area>();
  areas.set(door, known);
  const area = known.get(path) ?? { holders: 0, detach: undefined, turn: Promise.resolve() };
  known.set(path, area);
  await inTurn(area, async () => {
    if (mounted) area.detach ??= detachArea(door, path);
    area.detach ??= await mountOn(door, path, { source: 'tmpfs', fstype: 'tmpfs' }, AREA);
    area.holders++;
  });
  let given = false;
  return () =>
    inTurn(area, async () => {
      if (given) return;
      if (area.holders === 1) {
        await area.detach?.();
        area.detach = undefined;
      }
      area.holders--;
      given = true;
    });
}

function detachArea(door: StorageDoor, path: string): Detach {
  return async () => {
    await unmountFrom(door, path);
    await leave(path);
  };
}

function areaOf(mountPoint: string): string | undefined {
  const names = mountPoint.split('/');
  const at = names.lastIndexOf(NAME, names.length - 2);
  return at > 1 ? names.slice(0, at + 1).join('/') : undefined;
}

async function inTurn(area: Area, step: () => Promise<void>): Promise<void> {
  const done = area.turn.then(step);
  area.turn = done.catch(() => {});
  await done;
}
