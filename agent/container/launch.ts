// From "crun makes a process" to a supervised one: streams before, exit record and identity after.
import { AgentError } from '../errors.ts';
import { readStartTime, ticksSinceBoot } from '../keeper/proc-start-time.ts';
import { ContainerProcess } from '../process/container-process.ts';
import type { PassedConnections } from '../process/passed-connections.ts';
import { type OutputOptions, prepareStdio } from '../process/stdio.ts';
import { newStdioKey } from '../process/stdio-store.ts';
import type { ContainerHost } from './container-host.ts';
import type { CrunStart } from './crun.ts';
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
  /** Its streams are kept under this, where there is a store; one is made unless told. */
  streamsKey?: Buffer | undefined;
  /** Its streams go straight to these. */
  passed?: PassedConnections | undefined;
}

/** Runs `make` (crun create or exec) with fresh streams. On failure nothing is left open. */
export async function launch(
  host: ContainerHost,
  request: LaunchRequest,
  make: (stdio: CrunStart) => Promise<number>,
): Promise<ContainerProcess> {
  const { containerId, execId, process, output, passed, stdin = true } = request;
  const options = {
    terminal: process.terminal ?? false,
    keep: host.fds && { store: host.fds, key: request.streamsKey ?? newStdioKey() },
    stdin,
    budget: host.logBudget,
    output,
    runtimeDir: host.runtimeDir,
    pipeSizeBytes: host.pipeSizeBytes,
  };
  const prepared =
    passed === undefined
      ? await prepareStdio(options)
      : await (await import('../process/passed-stdio.ts')).preparePassedStdio(options, passed.claim());
  const since = ticksSinceBoot();
  let pid: number;
  try {
    const [input, ...outputs] = prepared.childFds;
    pid = await make({ fds: [stdin ? input : NO_FD, ...outputs], consoleSocket: prepared.consoleSocket });
  } catch (error) {
    await prepared.abandon();
    throw error;
  }
  // Undefined when the process is gone already; the keeper then goes by the pid and when this began.
  const startTime = await readStartTime(pid);
  const exit = host.keeper.exitOf(pid, startTime, since);
  const identity = { containerId, execId, pid, startTime };
  try {
    const stdio = await prepared.attach();
    // A terminal is one thing for both directions.
    if (!stdin && stdio.terminalFd === undefined) stdio.stdin.close();
    return new ContainerProcess(identity, process.args ?? [], stdio, exit);
  } catch (error) {
    exit.catch(() => {});
    throw new AgentError('internal', `take over the streams of process ${pid}`, {
      cause: error,
      fields: { container: containerId, exec: execId },
    });
  }
}
