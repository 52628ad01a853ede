// What is written down of one process: from before it is started until it is given up.
// INVARIANT: one whose record has no pid was never told to anybody.
import type { StateStore } from '../keeper/journal.ts';
import { StateRecord } from '../keeper/state-record.ts';
import type { Exit } from './exit.ts';

export const PROCESS_KIND = 'process';
/** Of all arguments together: they are kept to be shown. */
const MAX_ARGS_BYTES = 16 * 1024;

export interface ProcessFacts {
  /** '' for a process of the guest itself. */
  readonly containerId: string;
  /** The init's is its container's id. */
  readonly execId: string;
  /** Cut where there is too much. */
  readonly args: readonly string[];
  /** Ticks since boot before it was started: by it and its pid PID 1 finds its exit where the start time is not known. */
  readonly since: bigint;
  /** Of its streams in PID 1's store, in hex; '' for those that end with the agent. */
  readonly streams: string;
  /** Where crun or the launcher writes its pid. */
  readonly pidFile?: string | undefined;
  /** Path of the cgroup that is its own, from the mount of cgroup2 on. */
  readonly cgroup?: string | undefined;
  readonly pid?: number;
  readonly startTime?: bigint | undefined;
  /** Unix time in ms. */
  readonly startedAt?: number;
  readonly exit?: Exit;
  /** What whoever asked for it has to say of it (sandbox/process-table.ts). */
  readonly owner?: unknown;
}

export type ProcessRecord = StateRecord<ProcessFacts>;

/** Written when this returns. @throws resource_exhausted */
export function recordProcess(store: StateStore, facts: ProcessFacts): ProcessRecord {
  return new StateRecord<ProcessFacts>(store, PROCESS_KIND, processRecordId(facts), { ...facts, args: cut(facts.args) });
}

export function processRecordId({ containerId, execId }: Pick<ProcessFacts, 'containerId' | 'execId'>): string {
  return `${containerId}/${execId}`;
}

function cut(args: readonly string[]): readonly string[] {
  let left = MAX_ARGS_BYTES;
  const end = args.findIndex((arg) => {
    left -= Buffer.byteLength(arg) + 1;
    return left < 0;
  });
  return end < 0 ? args : [...args.slice(0, end), '…'];
}
