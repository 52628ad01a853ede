// Dialling an agent behind a hypervisor's Unix socket of a serial port, and telling why there is no answer.
import { readFile } from 'node:fs/promises';
import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { lineTaken, openSession } from './client-link.ts';

/**
 * QEMU takes a connection at once, if it has none; it may notice late that the last one is gone, when the guest is slow to read what that one
 * has sent.
 */
const LOOK_MS = 250;
const LOOKS = 8;
/** Of a Unix socket in /proc/net/unix (Linux, net/unix/af_unix.c): taken by its listener, and not yet. */
const TAKEN = '03';
const NOT_TAKEN = '02';

/**
 * @param connected to the port's socket, nothing read
 * @throws {AgentError} as openSession does; resource_exhausted too when the hypervisor, which takes one connection at a time, lets this one
 * wait behind another
 */
export async function dialSerial(connected: net.Socket, path: string, signal: AbortSignal): Promise<net.Socket> {
  const settled = new AbortController();
  const taken = new AbortController();
  const opened = openSession(connected, AbortSignal.any([signal, taken.signal]));
  void lookForOthers(path, settled.signal).then(
    () => taken.abort(lineTaken()),
    () => {},
  );
  try {
    return await opened;
  } finally {
    settled.abort();
  }
}

/** Resolves once somebody else's connection is seen to have the socket while ours waits. */
async function lookForOthers(path: string, signal: AbortSignal): Promise<void> {
  for (let seen = 0; seen < LOOKS; ) {
    await sleep(LOOK_MS, undefined, { signal });
    const states = statesOf(path, await readFile('/proc/net/unix', 'utf8'));
    seen = states.includes(TAKEN) && states.includes(NOT_TAKEN) ? seen + 1 : 0;
  }
}

/** Of the connections at the listener's end. A line is `Num: RefCount Protocol Flags Type St Inode Path`. */
export function statesOf(path: string, table: string): string[] {
  const name = path.replace(/^\0/, '@');
  const states: string[] = [];
  for (const line of table.split('\n')) {
    const [, , , , , state, inode] = line.split(/ +/, 7);
    if (state === undefined || inode === undefined || !line.endsWith(` ${name}`)) continue;
    if (line.slice(0, -name.length).trimEnd().endsWith(` ${inode}`)) states.push(state);
  }
  return states;
}
