import assert from 'node:assert/strict';
import { drawRatios } from '../../bench/report/chart.ts';
import { type Figure, toRows } from '../../bench/report/figure.ts';
import { parseSmapsRollup } from '../../bench/report/smaps.ts';
import { formatNumber, formatTable } from '../../bench/report/table.ts';

const FIGURES: Figure[] = [
  { place: 'guest', name: 'raw <echo>', unit: 'µs', samples: [10, 20, 30] },
  { place: 'guest', name: 'call', unit: 'µs', samples: [40, 50, 60], against: 'raw <echo>' },
  { place: 'guest', name: 'memory', unit: 'MiB', samples: [12.5] },
];

describe('the rows of a bench', () => {
  it('hold each figure against the one it names', () => {
    const [raw, call] = toRows(FIGURES);
    assert.equal(raw!.ratio, undefined);
    assert.equal(call!.ratio, 2.5);
  });

  it('do not compare across places', () => {
    const native: Figure = { place: 'native', name: 'call', unit: 'µs', samples: [1], against: 'raw <echo>' };
    assert.throws(() => toRows([...FIGURES, native]), /call is held against raw <echo>, which was not measured/);
  });
});

describe('the table of a bench', () => {
  it('is Markdown with columns of one width, and no 99th percentile of a single sample', () => {
    const lines = formatTable(toRows(FIGURES)).split('\n');
    assert.deepEqual(new Set(lines.map((line) => line.length)).size, 1);
    assert.match(lines[3]!, /^\| guest \| call +\| +50\.0 \| 60\.0 \| µs +\| 3 \| +2\.50 \| raw <echo> \|$/);
    assert.match(lines[4]!, /^\| guest \| memory +\| +12\.5 \| +\| MiB +\| 1 \| +\| +\|$/);
  });

  const numbers: [number, string][] = [
    [0, '0'],
    [0.0123, '0.0123'],
    [1.5, '1.50'],
    [999.6, '1000'],
    [123456, '123456'],
  ];
  for (const [value, text] of numbers) {
    it(`writes ${value} as ${text}`, () => assert.equal(formatNumber(value), text));
  }
});

describe('the chart of a bench', () => {
  it('has one bar for each ratio, a line at 1, and text that is safe in XML', () => {
    const svg = drawRatios(toRows(FIGURES), 'A & B');
    assert.equal(svg.match(/fill="#3b6ea5"/g)?.length, 1);
    assert.equal(svg.match(/<line /g)?.length, 1);
    assert.match(svg, /2\.50 of raw &lt;echo&gt; \(50\.0 µs\)/);
    assert.match(svg, /A &amp; B/);
  });

  it('gives a multiple and the same part of its base bars of one length, on both sides of the line', () => {
    const [raw, call] = FIGURES;
    const [four, quarter] = [80, 5].map((sample): Figure => ({ ...call!, name: String(sample), samples: [sample] }));
    const svg = drawRatios(toRows([raw!, four!, quarter!]), '');
    const bars = [...svg.matchAll(/x="(\d+)" y="\d+" width="(\d+)" height="17"/g)].map(([, x, width]) => [x, width]);
    assert.deepEqual(bars, [
      ['460', '200'],
      ['260', '200'],
    ]);
  });
});

describe('smaps_rollup', () => {
  it('gives private and proportional memory in MiB', () => {
    const text =
      '5600-7ffd [rollup]\nRss:  81920 kB\nPss:  51200 kB\nPss_Dirty:  1 kB\nPrivate_Clean:  4 kB\nPrivate_Dirty:  10240 kB\n';
    assert.deepEqual(parseSmapsRollup(text), { privateMiB: 10, pssMiB: 50 });
  });

  it('is refused when a field is missing', () => {
    assert.throws(() => parseSmapsRollup('Pss: 1 kB\n'), /has no Private_Dirty/);
  });
});
