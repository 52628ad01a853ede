// A process that an earlier agent started, taken over: its exit from PID 1, its streams from where PID 1 holds them.
import { native } from '../../native/index.ts';
import { hasCode } from '../errors.ts';
import type { StateStore } from '../keeper/journal.ts';
import type { Keeper } from '../keeper/keeper.ts';
import { readStartTime } from '../keeper/proc-start-time.ts';
import { StateRecord } from '../keeper/state-record.ts';
import type { Logger } from '../log.ts';
import { adoptStdio } from './adopt-stdio.ts';
import { ContainerProcess, openPidfd } from './container-process.ts';
import { PROCESS_KIND, type ProcessFacts, processRecordId } from './process-record.ts';
import { prepareStdio, type Stdio } from './stdio.ts';
import type { Budget } from './stream/budget.ts';

export interface AdoptHost {
  readonly keeper: Keeper;
  readonly state: StateStore;
  readonly logBudget: Budget;
  readonly runtimeDir: string;
  readonly log: Logger;
}

/** One that has been started. */
export type StartedFacts = ProcessFacts & { readonly pid: number };

export async function adoptProcess(host: AdoptHost, facts: StartedFacts): Promise<ContainerProcess> {
  const { containerId, execId, pid, startTime, args } = facts;
  const record = new StateRecord<ProcessFacts>(host.state, PROCESS_KIND, processRecordId(facts), facts, { read: true });
  const exit = facts.exit === undefined ? host.keeper.exitOf(pid, startTime, facts.since) : Promise.resolve(facts.exit);
  exit.catch(() => {});
  const stdio = await takeStreams(host, facts);
  const pidfd = facts.exit === undefined ? await pidfdOf(pid, startTime) : undefined;
  return new ContainerProcess({ identity: { containerId, execId, pid, startTime }, args, record, stdio, exit, pidfd });
}

/** Streams that went to connections of a client's own ended with the agent that copied them. */
async function takeStreams(host: AdoptHost, facts: ProcessFacts): Promise<Stdio> {
  const key = Buffer.from(facts.streams, 'hex');
  if (key.length > 0) {
    try {
      return await adoptStdio({ store: host.keeper.fds, key }, { budget: host.logBudget });
    } catch (error) {
      if (!hasCode(error, 'not_found') || facts.exit === undefined)
        host.log.error('streams of a process are lost', { container: facts.containerId, exec: facts.execId, error });
    }
  }
  const ended = await prepareStdio({ terminal: false, budget: host.logBudget, runtimeDir: host.runtimeDir, pipeSizeBytes: 0 });
  return await ended.attach();
}

/** By the start time the number is known to be still that process's. */
export async function pidfdOf(pid: number, startTime: bigint | undefined): Promise<number | undefined> {
  const pidfd = openPidfd(pid);
  if (pidfd === undefined) return undefined;
  if (startTime !== undefined && (await readStartTime(pid)) === startTime) return pidfd;
  native().close(pidfd);
  return undefined;
}
