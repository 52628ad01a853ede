// Which bytes of a file have come: half-open ranges, sorted and apart from each other. Pure.

export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** The ranges with one more; those that touch become one. */
export function addRange(ranges: readonly ByteRange[], added: ByteRange): ByteRange[] {
  if (added.from >= added.to) return [...ranges];
  const touching = ranges.filter(({ from, to }) => from <= added.to && to >= added.from);
  const merged = {
    from: Math.min(added.from, ...touching.map(({ from }) => from)),
    to: Math.max(added.to, ...touching.map(({ to }) => to)),
  };
  const before = ranges.filter(({ to }) => to < added.from);
  const after = ranges.filter(({ from }) => from > added.to);
  return [...before, merged, ...after];
}

/** Whether they hold every byte of a file of this size. */
export function covers(ranges: readonly ByteRange[], size: number): boolean {
  return size === 0 || (ranges.length === 1 && ranges[0]!.from === 0 && ranges[0]!.to === size);
}
