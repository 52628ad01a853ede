// A process as Berth's API tells of it.
import type { berth } from '#proto/berth.js';
import type { Exit } from '../../process/container-process.ts';
import type { OutputLog } from '../../process/stream/output-log.ts';
import type { StdinLog } from '../../process/stream/stdin-log.ts';
import type { Ended, Lifetime, ProcessEntry } from '../../sandbox/process-entry.ts';
import { exitMessage } from './exit-message.ts';

export function endedMessage({ exit, oomKilled, endedBy }: Ended): berth.v1.Exit.$Properties {
  return { ...exitMessage(exit), oomKilled, endedBy: endedBy ?? '' };
}

/** @param bootId of /proc/sys/kernel/random/boot_id */
export function processMessage(entry: ProcessEntry, bootId: string): berth.v1.Process.$Properties {
  const { process, ref, report } = entry;
  const { stdio, identity } = process;
  return {
    ref: { ...ref },
    pid: identity.pid,
    startTime: identity.startTime ?? 0n,
    bootId,
    args: [...process.args],
    terminal: stdio.terminalFd !== undefined,
    startedUnixMs: BigInt(process.startedAt),
    exit: report === undefined ? toldByKernel(process.exit) : endedMessage(report),
    stdout: outputMessage(stdio.stdout),
    stderr: stdio.terminalFd === undefined ? outputMessage(stdio.stderr) : undefined,
    stdin: stdinMessage(stdio.stdin),
    labels: { ...entry.labels },
    owner: entry.owner,
    lifetime: lifetimeMessage(entry.lifetime),
  };
}

/** In the moment between the exit and the last look at its cgroup. */
function toldByKernel(exit: Exit | undefined): berth.v1.Exit.$Properties | undefined {
  return exit && exitMessage(exit);
}

function outputMessage(log: OutputLog): berth.v1.OutputState.$Properties {
  const { start, end, dropped, heldBack, acknowledged, readers } = log;
  return { start, end, dropped, heldBack, acknowledged, readers, ended: log.ending === 'closed' };
}

function stdinMessage({ accepted, delivered, state }: StdinLog): berth.v1.StdinState.$Properties {
  return { accepted, delivered, closed: state !== 'open', readerGone: state === 'refused' };
}

export function lifetimeMessage(lifetime: Lifetime): berth.v1.Lifetime.$Properties {
  if (lifetime.kind === 'lease') return { leaseMs: lifetime.ttlMs };
  return lifetime.kind === 'connection' ? { connection: true } : { keep: true };
}
