// What a run of the table says in the end: how many cases of each RPC held, by protocol, and which did not.
import type { ConformanceCase, Protocol } from '../case.ts';
import { RPCS } from './target.ts';

const PROTOCOLS: readonly Protocol[] = ['ttrpc', 'grpc'];

export interface Result {
  readonly id: string;
  readonly rpc: string;
  readonly kind: ConformanceCase['kind'];
  readonly protocol: Protocol;
  /** `not run` has a reason as well: it counts as not held. */
  readonly outcome: 'held' | 'failed' | 'not run';
  readonly text?: string;
}

export function reportOf(results: readonly Result[]): string {
  const lines = [row('RPC', 'normal', 'edge', 'bad input', ...PROTOCOLS)];
  for (const rpc of RPCS.keys()) {
    const mine = results.filter((result) => result.rpc === rpc);
    const kinds = (['normal', 'edge', 'bad-input'] as const).map(
      (kind) => new Set(mine.filter((result) => result.kind === kind).map(({ id }) => id)).size,
    );
    lines.push(row(rpc, ...kinds.map(String), ...PROTOCOLS.map((protocol) => share(mine, protocol))));
  }
  lines.push(row('all', '', '', '', ...PROTOCOLS.map((protocol) => share(results, protocol))));
  for (const { id, protocol, outcome, text } of results) {
    if (outcome !== 'held') lines.push(`${outcome}: ${id} over ${protocol}${text === undefined ? '' : `: ${text}`}`);
  }
  return lines.join('\n');
}

function share(results: readonly Result[], protocol: Protocol): string {
  const mine = results.filter((result) => result.protocol === protocol);
  return `${mine.filter(({ outcome }) => outcome === 'held').length}/${mine.length}`;
}

function row(name: string, ...columns: string[]): string {
  return name.padEnd(32) + columns.map((column) => column.padStart(10)).join('');
}
