// `npm run bench`: measures Berth beside the raw transport and bare tools in one run, prints a table and leaves
// build/bench/results.json and results.svg. It judges nothing.
//   --quick        fewer samples
//   --native       this machine only, no guest; --guest the other way round
//   --files DIR    another build of build/guest for the native part
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureGuest } from './guest/measure.ts';
import { caption, describeMachine } from './machine.ts';
import { measureNative } from './native/measure.ts';
import { drawRatios } from './report/chart.ts';
import { type Figure, toRows } from './report/figure.ts';
import { formatTable } from './report/table.ts';

const OUT = join(import.meta.dirname, '../../build/bench');
const FULL = {
  native: { starts: 25, roundTrips: 20_000, rounds: 4, deaths: { deaths: 50, processes: [0, 32] } },
  guest: {
    rounds: 5,
    unary: 400,
    execs: 12,
    nodeStarts: 2,
    copyBytes: 128e6,
    containers: 200,
    flowBytes: 100 * 2 ** 20,
    restarts: 3,
    loadBytes: 256 * 2 ** 20,
  },
};
const QUICK = {
  native: { starts: 5, roundTrips: 4_000, rounds: 2, deaths: { deaths: 5, processes: [0, 32] } },
  guest: {
    rounds: 2,
    unary: 100,
    execs: 5,
    nodeStarts: 1,
    copyBytes: 32e6,
    containers: 24,
    flowBytes: 32 * 2 ** 20,
    restarts: 1,
    loadBytes: 64 * 2 ** 20,
  },
};

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, native: { type: 'boolean' }, guest: { type: 'boolean' }, files: { type: 'string' } },
});
const counts = values.quick ? QUICK : FULL;
const say = (text: string) => console.log(text);
const machine = await describeMachine();
const figures: Figure[] = [];
if (!values.guest) figures.push(...(await measureNative({ ...counts.native, files: values.files }, say)));
if (!values.native) {
  const guest = await measureGuest(counts.guest, OUT, say);
  machine.way = guest.way;
  figures.push(...guest.figures);
}
const rows = toRows(figures);
await mkdir(OUT, { recursive: true });
await writeFile(
  join(OUT, 'results.json'),
  `${JSON.stringify({ machine, quick: values.quick ?? false, rows, figures }, null, 1)}\n`,
);
await writeFile(join(OUT, 'results.svg'), drawRatios(rows, caption(machine)));
console.log(
  `\n${caption(machine)}\n\n${formatTable(rows)}\n\nbuild/bench/results.json and build/bench/results.svg have the samples and a plot.`,
);
