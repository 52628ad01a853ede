// Mounts an overlay (Documentation/filesystems/overlayfs.rst) from layers that are open already: the kernel would follow a
// link on the way to each, and one that a container planted could put a part of the guest into its root.
import { AgentError } from '../../errors.ts';
import { checkAbsolutePath } from '../spec/paths.ts';
import { withDirectory } from './guest-path.ts';
import type { MountOptions } from './mount-options.ts';
import { mountOn } from './mount-target.ts';
import type { Detach, StorageDoor } from './storage.ts';

/** Layers of one overlay: their descriptors fit into the one page of options that mount(2) takes. */
const MAX_LAYERS = 200;

export interface OverlayLayers {
  /** The first is the top one. */
  readonly lower: readonly string[];
  readonly writable?: { readonly upper: string; readonly work: string } | undefined;
}

/** The value of `lowerdir=`: layers between colons, a colon of a name escaped. @throws invalid_argument */
export function splitLayers(text: string): string[] {
  const layers = text.split(/(?<!\\):/).map((layer) => layer.replace(/\\([:\\])/g, '$1'));
  if (layers.length > MAX_LAYERS) throw invalid(`more than ${MAX_LAYERS} lower layers`);
  if (layers.includes('')) throw invalid('a lower layer is empty');
  return layers;
}

export async function mountOverlay(
  door: StorageDoor,
  target: string,
  { lower, writable }: OverlayLayers,
  options: MountOptions,
): Promise<Detach> {
  return await withLayers(lower, async (opened) => {
    const mount = (parts: readonly string[]) => {
      const data = [...parts, ...(options.data === '' ? [] : [options.data])].join(',');
      return mountOn(door, target, { source: 'overlay', fstype: 'overlay' }, { ...options, data });
    };
    const lowerdir = `lowerdir=${opened.join(':')}`;
    if (writable === undefined) return await mount([lowerdir]);
    return await withLayers([writable.upper, writable.work], ([upper, work]) =>
      mount([lowerdir, `upperdir=${upper}`, `workdir=${work}`]),
    );
  });
}

/** All open at the same time, in their order. */
async function withLayers<T>(paths: readonly string[], use: (opened: readonly string[]) => Promise<T>): Promise<T> {
  const [first, ...others] = paths;
  if (first === undefined) return await use([]);
  return await withDirectory(checkAbsolutePath(first, 'storages[].options'), {}, (opened) =>
    withLayers(others, (rest) => use([opened, ...rest])),
  );
}

function invalid(problem: string): AgentError {
  return new AgentError('invalid_argument', `storages[].options: lowerdir: ${problem}`, { fields: { field: 'options' } });
}
