// From "crun makes a process" to a supervised one: streams before, exit record and identity after. Each step is written down, so that an
// agent that comes after this one finds the process, or what is left of an attempt.
import { AgentError } from '../errors.ts';
import { faultPoint } from '../fault-point.ts';
import { readStartTime, ticksSinceBoot } from '../keeper/proc-start-time.ts';
import { ContainerProcess, openPidfd } from '../process/container-process.ts';
import { killPid } from '../process/kill-pid.ts';
import type { PassedConnections } from '../process/passed-connections.ts';
import { processRecordId, recordProcess } from '../process/process-record.ts';
import { type OutputOptions, prepareStdio } from '../process/stdio.ts';
import { newStdioKey } from '../process/stdio-store.ts';
import type { ContainerHost } from './container-host.ts';
import type { CrunStart } from './crun.ts';
import { removeScratchFile } from './scratch-file.ts';
import type { ProcessSpec } from './spec/types.ts';

/** For spawn: /dev/null. */
const NO_FD = -1;

export interface LaunchRequest {
  containerId: string;
  /** The container's id for its init. */
  execId: string;
  process: ProcessSpec;
  /** As Kata has it unless told. */
  output?: OutputOptions | undefined;
  /** Without one it reads /dev/null; there is one unless told. */
  stdin?: boolean | undefined;
  /** Its streams go straight to these. */
  passed?: PassedConnections | undefined;
  /** Path of the cgroup that is its own. */
  cgroup?: string | undefined;
  /** Written down with it. */
  owner?: unknown;
}

/** Runs `make` (crun create or exec) with fresh streams. On failure nothing is left open. */
export async function launch(
  host: ContainerHost,
  request: LaunchRequest,
  make: (start: CrunStart) => Promise<number>,
): Promise<ContainerProcess> {
  const { containerId, execId, process, output, passed, stdin = true, cgroup, owner } = request;
  const key = newStdioKey();
  const pidFile = host.crun.newPidFile();
  const since = ticksSinceBoot();
  const streams = passed === undefined ? key.toString('hex') : '';
  const args = process.args ?? [];
  const record = recordProcess(host.state, { containerId, execId, args, since, streams, pidFile, cgroup, owner });
  faultPoint('launch:recorded');
  try {
    const options = {
      terminal: process.terminal ?? false,
      budget: host.logBudget,
      output,
      runtimeDir: host.runtimeDir,
      pipeSizeBytes: host.pipeSizeBytes,
      keep: { store: host.keeper.fds, key, of: processRecordId({ containerId, execId }) },
      stdin,
    };
    const prepared =
      passed === undefined
        ? await prepareStdio(options)
        : await (await import('../process/passed-stdio.ts')).preparePassedStdio(options, passed.claim());
    let pid: number;
    try {
      const [input, ...outputs] = prepared.childFds;
      pid = await make({ fds: [stdin ? input : NO_FD, ...outputs], consoleSocket: prepared.consoleSocket, pidFile });
    } catch (error) {
      await prepared.abandon();
      throw error;
    }
    faultPoint('launch:ran');
    // Undefined when the process is gone already; the keeper then goes by the pid and when this began.
    const startTime = await readStartTime(pid);
    const exit = host.keeper.exitOf(pid, startTime, since);
    exit.catch(() => {});
    const identity = { containerId, execId, pid, startTime };
    try {
      const stdio = await prepared.attach();
      // A terminal is one thing for both directions.
      if (!stdin && stdio.terminalFd === undefined) stdio.stdin.close();
      record.update({ pid, startTime, startedAt: Date.now() });
      return new ContainerProcess({ identity, args, record, stdio, exit, pidfd: openPidfd(pid) });
    } catch (error) {
      killPid(pid);
      throw new AgentError('internal', `take over the streams of process ${pid}`, {
        cause: error,
        fields: { container: containerId, exec: execId },
      });
    }
  } catch (error) {
    record.drop();
    throw error;
  } finally {
    await removeScratchFile(pidFile);
  }
}
