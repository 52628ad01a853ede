// /proc/PID/smaps (man 5 proc_pid_smaps) added up by what the memory is for.

export type Part = 'heap' | 'binary' | 'addon' | 'shared' | 'logs';

/** KiB. `privateDirty` is what the process alone costs; a clean page of a file is the page cache's. */
export interface PartUse {
  pss: number;
  privateDirty: number;
}

export type MemoryParts = Readonly<Record<Part, PartUse>>;

/** `heap`: V8's, malloc's and stacks. `logs`: memory files of streams. */
const PARTS: readonly (readonly [Part, RegExp])[] = [
  ['logs', /^\/memfd:/],
  ['addon', /\.node$/],
  ['binary', /\/node$/],
  ['shared', /^\//],
];

export function addUpParts(smaps: string): MemoryParts {
  const sums = Object.fromEntries(
    [...PARTS.map(([part]) => part), 'heap'].map((part) => [part, { pss: 0, privateDirty: 0 }]),
  ) as Record<Part, PartUse>;
  let current = sums.heap;
  for (const line of smaps.split('\n')) {
    const mapping = /^[0-9a-f]+-[0-9a-f]+ \S+ [0-9a-f]+ \S+ \d+\s*(.*)$/.exec(line);
    if (mapping !== null) {
      const path = mapping[1]!.replace(/ \(deleted\)$/, '');
      current = sums[PARTS.find(([, pattern]) => pattern.test(path))?.[0] ?? 'heap'];
      continue;
    }
    const [, field, kib] = /^(Pss|Private_Dirty):\s+(\d+) kB$/.exec(line) ?? [];
    if (field === 'Pss') current.pss += Number(kib);
    else if (field === 'Private_Dirty') current.privateDirty += Number(kib);
  }
  return sums;
}

export function totalOf(parts: MemoryParts): PartUse {
  const uses = Object.values(parts);
  return {
    pss: uses.reduce((sum, { pss }) => sum + pss, 0),
    privateDirty: uses.reduce((sum, { privateDirty }) => sum + privateDirty, 0),
  };
}
