// Which processes of this machine are there, for tests that nothing is left.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify, isAlive, type ProcessIdentity } from '../../client/vm/process-identity.ts';

/** Processes that have this word in their command line. */
export function processesOf(word: string): ProcessIdentity[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandLine(pid).includes(word))
    .map((pid) => identify(Number(pid)))
    .filter((found) => found !== undefined);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

/** Waits 5 s for their end. */
export async function allGone(processes: readonly ProcessIdentity[]): Promise<void> {
  for (let waits = 0; processes.some(isAlive); waits++) {
    assert.ok(waits < 500, `still there: ${processes.filter(isAlive).map(({ pid }) => commandLine(String(pid)))}`);
    await sleep(10);
  }
}
