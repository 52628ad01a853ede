// The ratios as a bar chart in SVG: one bar a figure, a line where it would equal what it is held against.
import { betterIs, type Row } from './figure.ts';
import { formatNumber } from './table.ts';

const LABEL_WIDTH = 330;
const BAR_WIDTH = 420;
const VALUE_WIDTH = 330;
const ROW_HEIGHT = 26;
const TOP = 64;
const WIDTH = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH;
const COLOURS = { less: '#3b6ea5', more: '#4c8c4a' } as const;

/** Rows without a ratio are left out. `caption` names the machine. */
export function drawRatios(rows: readonly Row[], caption: string): string {
  const bars = rows.filter((row): row is Row & { ratio: number } => row.ratio !== undefined);
  const height = TOP + bars.length * ROW_HEIGHT + 24;
  const longest = Math.max(1, ...bars.map(({ ratio }) => ratio));
  const scale = (ratio: number) => (ratio / longest) * BAR_WIDTH;
  const one = LABEL_WIDTH + scale(1);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    text(12, 22, 'Berth beside the raw transport and bare tools', 'font-size="15" font-weight="bold"'),
    text(12, 42, `${caption}. Blue: time and memory, shorter is better. Green: rates, longer is better.`, 'fill="#555"'),
    ...bars.flatMap((row, index) => bar(row, TOP + index * ROW_HEIGHT, scale(row.ratio))),
    `<line x1="${px(one)}" y1="${TOP - 6}" x2="${px(one)}" y2="${height - 20}" stroke="#a33" stroke-dasharray="4 3"/>`,
    text(one, height - 6, '1', 'fill="#a33" text-anchor="middle"'),
    '</svg>',
    '',
  ].join('\n');
}

function bar(row: Row & { ratio: number }, y: number, width: number): string[] {
  const { place, name, unit, median, against = '' } = row;
  const value = `${formatNumber(row.ratio)} of ${against} (${formatNumber(median)} ${unit})`;
  return [
    text(LABEL_WIDTH - 8, y + 14, `${place}: ${name}`, 'text-anchor="end"'),
    `<rect x="${LABEL_WIDTH}" y="${y + 2}" width="${px(width)}" height="${ROW_HEIGHT - 9}" fill="${COLOURS[betterIs(unit)]}"/>`,
    text(LABEL_WIDTH + width + 6, y + 14, value, 'fill="#333"'),
  ];
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${px(x)}" y="${px(y)}" ${attributes}>${escapeXml(content)}</text>`;
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
