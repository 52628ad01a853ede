// The ratios as a bar chart in SVG. The scale is logarithmic around the line where a figure equals what it is held against:
// a bar to the right is a multiple, one to the left a part.
import { betterIs, type Row } from './figure.ts';
import { formatNumber } from './table.ts';

const LABEL_WIDTH = 260;
const BAR_WIDTH = 400;
const VALUE_WIDTH = 320;
const ROW_HEIGHT = 26;
const TOP = 84;
const WIDTH = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH;
const COLOURS = { less: '#3b6ea5', more: '#4c8c4a' } as const;

/** Rows without a ratio are left out. `caption` names the machine. */
export function drawRatios(rows: readonly Row[], caption: string): string {
  const bars = rows.filter((row): row is Row & { ratio: number } => row.ratio !== undefined);
  const height = TOP + bars.length * ROW_HEIGHT + 24;
  const farthest = Math.max(Math.LN2, ...bars.map(({ ratio }) => Math.abs(Math.log(ratio))));
  const one = LABEL_WIDTH + BAR_WIDTH / 2;
  const place = (ratio: number) => one + (Math.log(ratio) / farthest) * (BAR_WIDTH / 2);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    text(12, 22, 'Berth beside the raw transport and bare tools', 'font-size="15" font-weight="bold"'),
    text(12, 42, caption, 'fill="#555"'),
    text(12, 60, 'Logarithmic. Blue: times, left is better. Green: rates, right is better.', 'fill="#555"'),
    ...bars.flatMap((row, index) => bar(row, TOP + index * ROW_HEIGHT, one, place(row.ratio))),
    `<line x1="${px(one)}" y1="${TOP - 6}" x2="${px(one)}" y2="${height - 20}" stroke="#a33"/>`,
    text(one, height - 6, '1', 'fill="#a33" text-anchor="middle"'),
    '</svg>',
    '',
  ].join('\n');
}

function bar(row: Row & { ratio: number }, y: number, one: number, end: number): string[] {
  const { place, name, unit, median, against = '' } = row;
  const [left, width] = [Math.min(one, end), Math.abs(end - one)];
  return [
    text(LABEL_WIDTH - 8, y + 14, `${place}: ${name}`, 'text-anchor="end"'),
    `<rect x="${px(left)}" y="${y + 2}" width="${px(width)}" height="${ROW_HEIGHT - 9}" fill="${COLOURS[betterIs(unit)]}"/>`,
    text(
      Math.max(one, end) + 6,
      y + 14,
      `${formatNumber(row.ratio)} of ${against} (${formatNumber(median)} ${unit})`,
      'fill="#333"',
    ),
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
