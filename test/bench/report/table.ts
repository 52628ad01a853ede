// The figures as a Markdown table, which reads as plain text too.
import type { Row } from './figure.ts';

const HEAD = ['where', 'what', 'median', 'p99', 'unit', 'n', 'ratio', 'to'];
const LEFT = new Set(['where', 'what', 'unit', 'to']);

export function formatTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.place,
    row.name,
    formatNumber(row.median),
    row.n > 1 ? formatNumber(row.p99) : '',
    row.unit,
    String(row.n),
    row.ratio === undefined ? '' : formatNumber(row.ratio),
    row.against ?? '',
  ]);
  const widths = HEAD.map((head, column) => Math.max(head.length, ...cells.map((line) => line[column]!.length)));
  const line = (texts: readonly string[]) =>
    `| ${texts.map((text, column) => (LEFT.has(HEAD[column]!) ? text.padEnd(widths[column]!) : text.padStart(widths[column]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (LEFT.has(HEAD[column]!) ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(HEAD), rule, ...cells.map(line)].join('\n');
}

/** Three significant digits, and no exponent. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(digits);
}
