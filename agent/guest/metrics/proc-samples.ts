// Figures of files in /proc as samples, in the files' own units (man 5 proc). Lines of another form are left out. Pure.
import type { Sample } from './exposition.ts';

const CPU_ITEMS = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal', 'guest', 'guest_nice'];
const DISK_ITEMS = [
  ...['reads', 'merged', 'sectors_read', 'time_reading', 'writes', 'writes_merged', 'sectors_written', 'time_writing'],
  ...['in_progress', 'time_in_progress', 'weighted_time_in_progress', 'discards', 'discards_merged', 'sectors_discarded'],
  ...['time_discarding', 'flushes', 'time_flushing'],
];
const NETDEV_ITEMS = [
  ...['bytes', 'packets', 'errs', 'drop', 'fifo', 'frame', 'compressed', 'multicast'].map((item) => `recv_${item}`),
  ...['bytes', 'packets', 'errs', 'drop', 'fifo', 'colls', 'carrier', 'compressed'].map((item) => `sent_${item}`),
];
const STATUS_KEYS = /^(vm[a-z]+|rss[a-z]+|hugetlbpages|(non)?voluntary_ctxt_switches)$/;

/** /proc/loadavg */
export function loadSamples(text: string): { load: Sample[]; tasks: Sample[] } {
  const [, one, five, fifteen, current, all] = /^([\d.]+) ([\d.]+) ([\d.]+) (\d+)\/(\d+)/.exec(text) ?? [];
  if (all === undefined) return { load: [], tasks: [] };
  const load = { load1: Number(one), load5: Number(five), load15: Number(fifteen) };
  return { load: byItem(Object.entries(load)), tasks: byItem(Object.entries({ cur: Number(current), max: Number(all) })) };
}

/** /proc/stat, the lines of CPUs: ticks */
export function cpuSamples(text: string): Sample[] {
  return lines(text).flatMap((line) => {
    const [, cpu, figures] = /^cpu(\d*)\s+([\d ]+)$/.exec(line) ?? [];
    return figures === undefined ? [] : columns(figures, CPU_ITEMS, { cpu: cpu || 'total' });
  });
}

/** /proc/vmstat */
export function vmSamples(text: string): Sample[] {
  return byItem(keyed(text, /^(\w+) (\d+)$/));
}

/** /proc/meminfo: kB where it says so */
export function memorySamples(text: string): Sample[] {
  return byItem(keyed(text, /^([\w()]+):\s+(\d+)(?: kB)?$/).map(([key, value]) => [snakeCase(key), value]));
}

/** /proc/net/dev */
export function netdevSamples(text: string): Sample[] {
  return lines(text).flatMap((line) => {
    const [, name, figures] = /^\s*(\S+):\s*([\d ]+)$/.exec(line) ?? [];
    return figures === undefined ? [] : columns(figures, NETDEV_ITEMS, { interface: name! });
  });
}

/** /proc/diskstats (admin-guide/iostats.rst); devices that never did anything are left out */
export function diskSamples(text: string): Sample[] {
  return lines(text).flatMap((line) => {
    const [, disk, figures] = /^\s*\d+\s+\d+\s+(\S+)\s+([\d ]+)$/.exec(line) ?? [];
    return figures === undefined || /^[0 ]*$/.test(figures) ? [] : columns(figures, DISK_ITEMS, { disk: disk! });
  });
}

/** /proc/PID/status: memory in kB, and context switches */
export function statusSamples(text: string): Sample[] {
  const entries = keyed(text, /^(\w+):\s+(\d+)(?: kB)?$/).map(([key, value]) => [key.toLowerCase(), value] as const);
  return byItem(entries.filter(([key]) => STATUS_KEYS.test(key)));
}

/** /proc/PID/io */
export function ioSamples(text: string): Sample[] {
  return byItem(keyed(text, /^(\w+): (\d+)$/));
}

export interface ProcessFigures {
  /** Ticks of utime, stime, cutime, cstime. */
  readonly times: Sample[];
  readonly totalTicks: number;
  readonly threads: number;
  readonly virtualBytes: bigint;
  readonly residentPages: bigint;
}

/** /proc/PID/stat; undefined for text of another form */
export function processFigures(text: string): ProcessFigures | undefined {
  // The name may hold blanks and parentheses; what follows the last one is the third field.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number);
  const [threads, virtual, resident] = [fields[17], fields[20], fields[21]];
  if (![...fields.slice(11, 15), threads, virtual, resident].every((field) => /^-?\d+$/.test(field ?? ''))) return undefined;
  return {
    times: byItem(Object.entries({ utime: utime!, stime: stime!, cutime: cutime!, cstime: cstime! })),
    totalTicks: utime! + stime!,
    threads: Number(threads),
    virtualBytes: BigInt(virtual!),
    residentPages: BigInt(resident!),
  };
}

export function byItem(entries: Iterable<readonly [string, number | bigint]>): Sample[] {
  return [...entries].map(([item, value]) => ({ labels: { item }, value }));
}

function columns(figures: string, items: readonly string[], labels: Readonly<Record<string, string>>): Sample[] {
  return figures
    .trim()
    .split(/ +/)
    .slice(0, items.length)
    .map((figure, at) => ({ labels: { ...labels, item: items[at]! }, value: BigInt(figure) }));
}

function keyed(text: string, form: RegExp): [string, bigint][] {
  return lines(text).flatMap((line): [string, bigint][] => {
    const [, key, value] = form.exec(line) ?? [];
    return key === undefined ? [] : [[key, BigInt(value!)]];
  });
}

/** `Active(anon)` is active_anon, `AnonHugePages` anon_hugepages, `DirectMap2M` direct_map_2M, as Kata's consumers know them. */
function snakeCase(key: string): string {
  return key
    .replaceAll('HugePages', 'Hugepages')
    .replace('Percpu', 'PerCpu')
    .replace(/\((\w+)\)/, '_$1')
    .replace(/([a-z])([A-Z0-9])|([A-Z])(?=[A-Z][a-z])/g, (_, low: string, next: string, alone: string) =>
      alone ? `${alone}_` : `${low}_${next}`,
    )
    .replace(/[A-Z]+(?![0-9]|$)|^[A-Z]+|_[A-Z]+$/g, (word) => word.toLowerCase());
}

function lines(text: string): string[] {
  return text.split('\n');
}
