// The packet filter's rules as iptables-save writes and iptables-restore reads them (man 8), byte for byte.
import { runTool } from '../../process/tool.ts';
import type { Family } from './checked.ts';
import type { RunTool } from './ip-command.ts';

const SAVE = { 4: 'iptables-save', 6: 'ip6tables-save' } as const;
const RESTORE = { 4: 'iptables-restore', 6: 'ip6tables-restore' } as const;
/** For other users of the tables to let go of them, in seconds. */
const LOCK_WAIT_S = 5;
const SAVE_TIMEOUT_MS = 5_000;
/** The lock, and then the work. */
const RESTORE_TIMEOUT_MS = LOCK_WAIT_S * 1000 + 5_000;
/** What one answer can carry: a frame is 4 MiB. */
const BYTES = { exact: true, maxOutputChars: 4 * 1024 * 1024 - 4096 } as const;

/** @throws internal without the tool, or with its complaint; resource_exhausted for more than an answer carries */
export async function saveTables(family: Family, run: RunTool = runTool): Promise<Uint8Array> {
  const { stdout } = await run(SAVE[family], [], { timeoutMs: SAVE_TIMEOUT_MS, ...BYTES });
  return Buffer.from(stdout, 'latin1');
}

/** Replaces the tables that `rules` names, each whole or not at all, and gives what the tool says. @throws as {@link saveTables} */
export async function restoreTables(family: Family, rules: Uint8Array, run: RunTool = runTool): Promise<Uint8Array> {
  const options = { timeoutMs: RESTORE_TIMEOUT_MS, input: rules, ...BYTES };
  const { stdout } = await run(RESTORE[family], ['--wait', String(LOCK_WAIT_S)], options);
  return Buffer.from(stdout, 'latin1');
}
