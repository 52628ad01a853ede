// How fast one process's stdout reaches one client.
import type { AgentClient } from '../../../client/agent-client.ts';
import type { Container } from '../../../client/container.ts';

/** What a read asks for. */
const READ_BYTES = 256 * 1024;

/** MB/s of `bytes` zeros, with `inFlight` reads under way at a time. */
export async function stdoutRate(client: AgentClient, container: Container, bytes: number, inFlight: number): Promise<number> {
  const process = await container.exec({ args: ['head', '-c', String(bytes), '/dev/zero'] });
  const from = performance.now();
  let total = 0;
  const reader = async () => {
    for (;;) {
      const { data } = await client.kata.readStdout({ ...process.address, len: READ_BYTES });
      if (data.length === 0) return;
      total += data.length;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, reader));
  const elapsed = performance.now() - from;
  await process.wait();
  if (total !== bytes) throw new Error(`${total} of ${bytes} bytes of stdout came`);
  return bytes / 1e3 / elapsed;
}
