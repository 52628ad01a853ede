// From a client's request to a running process: in a container through crun, in the guest itself through the launcher. Whoever starts it,
// a failure has one shape (process/start-failure.ts).
import type { Container } from '../container/container.ts';
import type { ProcessCgroup } from '../container/process-cgroup.ts';
import { isAgentError } from '../errors.ts';
import type { ContainerProcess } from '../process/container-process.ts';
import { failureOfRuntime, startError } from '../process/start-failure.ts';
import type { OutputOptions } from '../process/stdio.ts';
import type { GuestProcesses } from './guest-processes.ts';
import type { OwnerFacts } from './owner-facts.ts';
import type { Lifetime } from './process-entry.ts';
import { checkProgram, type Program, toLaunchSpec, toProcessSpec } from './program.ts';

export interface StartRequest {
  /** '' for a process of the guest itself. */
  readonly containerId: string;
  /** '' for one made here. */
  readonly processId: string;
  readonly program: Program;
  /** '' for none. */
  readonly key: string;
  readonly output: OutputOptions;
  readonly stdin: boolean;
  readonly lifetime: Lifetime;
  /** 0 for never. */
  readonly timeoutMs: number;
  /** Between SIGTERM and SIGKILL when the agent ends it. */
  readonly graceMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly forgetWhenDone: boolean;
  /** Written down with it (owner-facts.ts). */
  readonly owner?: OwnerFacts;
}

export interface StartedProcess {
  readonly process: ContainerProcess;
  readonly cgroup: ProcessCgroup | undefined;
  readonly container: Container | undefined;
}

export async function startInContainer(container: Container, request: StartRequest): Promise<StartedProcess> {
  const { processId, program, output, stdin, owner } = request;
  checkProgram(program);
  const spec = toProcessSpec(program, container.spec);
  try {
    const process = await container.exec(processId, spec, { keep: true, output, stdin, owner });
    return { process, cgroup: container.cgroupOf(process), container };
  } catch (error) {
    // Refusals of ours are about the request; what crun says is about the program.
    if (!isAgentError(error) || error.code !== 'internal') throw error;
    throw startError(failureOfRuntime(error.message), error.message, error);
  }
}

export async function startInGuest(guest: Pick<GuestProcesses, 'start'>, request: StartRequest): Promise<StartedProcess> {
  const { processId, program, output, stdin, owner } = request;
  checkProgram(program);
  const spec = toLaunchSpec(program);
  const { process, cgroup } = await guest.start({ processId, spec, output, stdin, size: program.size, owner });
  return { process, cgroup, container: undefined };
}
