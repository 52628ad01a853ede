// How fast one process's stdout reaches one client.
import type { AgentClient } from '../../../client/kata/agent-client.ts';
import type { KataContainer } from '../../../client/kata/container.ts';

/** What a read asks for. */
const READ_BYTES = 256 * 1024;

/** What the process writes at a time. */
const WRITE_BYTES = 64 * 1024;

/** MB/s of `bytes` zeros, rounded up to whole writes, with `inFlight` reads under way at a time. */
export async function stdoutRate(
  client: AgentClient,
  container: KataContainer,
  bytes: number,
  inFlight: number,
): Promise<number> {
  // Not head -c: busybox's copies byte by byte, which is slower than what is to be measured.
  const count = Math.ceil(bytes / WRITE_BYTES);
  const process = await container.exec({ args: ['dd', 'if=/dev/zero', `bs=${WRITE_BYTES}`, `count=${count}`] });
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
  if (total !== count * WRITE_BYTES) throw new Error(`${total} of ${count * WRITE_BYTES} bytes of stdout came`);
  return total / 1e3 / elapsed;
}
