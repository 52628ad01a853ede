// Kata's passfd: requests name the ports of connections that the client has opened for a process's streams (kata-agent.md §1.6).
import { PassedConnections } from '../../process/passed-connections.ts';

/** Where such connections wait; undefined when the agent does not listen for them, and then ports mean nothing. */
export type Passfd = { take(port: number): Promise<number> } | undefined;

interface Ports {
  readonly stdinPort: number;
  readonly stdoutPort: number;
  readonly stderrPort: number;
}

/** Runs `work` with the connections that the ports name; undefined when none is named. What it has not claimed when it fails is closed. */
export async function withPassed<T>(
  passfd: Passfd,
  { stdinPort, stdoutPort, stderrPort }: Ports,
  work: (passed: PassedConnections | undefined) => Promise<T>,
): Promise<T> {
  if (passfd === undefined || (stdinPort === 0 && stdoutPort === 0 && stderrPort === 0)) return work(undefined);
  const take = async (port: number) => (port === 0 ? undefined : passfd.take(port));
  const [stdin, stdout, stderr] = await Promise.allSettled([take(stdinPort), take(stdoutPort), take(stderrPort)]);
  const passed = new PassedConnections({ stdin: fdOf(stdin), stdout: fdOf(stdout), stderr: fdOf(stderr) });
  try {
    for (const taken of [stdin, stdout, stderr]) if (taken.status === 'rejected') throw taken.reason;
    return await work(passed);
  } catch (error) {
    passed.close();
    throw error;
  }
}

function fdOf<T>(settled: PromiseSettledResult<T>): T | undefined {
  return settled.status === 'fulfilled' ? settled.value : undefined;
}
