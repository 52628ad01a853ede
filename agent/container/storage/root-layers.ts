// Which storages of a request are layers of one root, and which part each plays in it (kata-agent.md §5.5).
import { AgentError } from '../../errors.ts';
import type { Storage } from './storage.ts';

/** The driver of what they make together. */
export const MULTI_LAYER_DRIVER = 'erofs.multi-layer';
const MULTI_LAYER = 'X-kata.multi-layer=true';
const UPPER = 'X-kata.overlay-upper';
const LOWER = 'X-kata.overlay-lower';
const MKFS = 'X-kata.mkfs=true';
/** Layers of one root. */
const MAX_LAYERS = 128;

/** The request's storages with those that are layers of one root made one, in the place of the first of them. */
export function groupLayers(storages: readonly Storage[]): Storage[] {
  const layers = storages.filter(isLayer);
  if (layers.length === 0) return [...storages];
  const { upper } = sortLayers(layers);
  const source = layers.map((layer) => layer.source).join(' ');
  const root: Storage = { ...upper, driver: MULTI_LAYER_DRIVER, source, layers, shared: layers.some(({ shared }) => shared) };
  return storages.flatMap((storage) => (storage === layers[0] ? [root] : isLayer(storage) ? [] : [storage]));
}

export interface RootLayers {
  readonly upper: Storage;
  /** The first is the top one. */
  readonly lower: readonly Storage[];
}

/** @throws invalid_argument */
export function sortLayers(layers: readonly Storage[]): RootLayers {
  const [upper, ...more] = layers.filter(isUpper);
  const lower = layers.filter((layer) => !isUpper(layer));
  if (upper === undefined) throw invalid('no layer has `X-kata.overlay-upper`');
  if (more.length > 0) throw invalid('more than one layer has `X-kata.overlay-upper`');
  if (lower.length === 0) throw invalid('no layer has `X-kata.overlay-lower`');
  if (layers.length > MAX_LAYERS) throw invalid(`more than ${MAX_LAYERS} layers`);
  const stray = lower.find(({ options, fstype }) => !options.includes(LOWER) && fstype !== 'erofs');
  if (stray !== undefined) throw invalid(`the layer \`${stray.source}\` is neither upper nor lower`);
  return { upper, lower };
}

function isLayer({ driver, options }: Storage): boolean {
  return driver === MULTI_LAYER_DRIVER || options.includes(MULTI_LAYER);
}

function isUpper({ options, fstype }: Storage): boolean {
  return options.includes(UPPER) || (!options.includes(LOWER) && (fstype === 'ext4' || isMade({ options, fstype })));
}

/** Whether its file system is to be made first. */
export function isMade({ options, fstype }: Pick<Storage, 'options' | 'fstype'>): boolean {
  return options.includes(MKFS) || fstype.startsWith('mkfs/');
}

function invalid(problem: string): AgentError {
  return new AgentError('invalid_argument', `storages[].options: multi-layer root: ${problem}`, { fields: { field: 'options' } });
}
