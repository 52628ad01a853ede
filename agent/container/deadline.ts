// A bound on waiting for the kernel: file operations can hang on a stuck file system, and can't be cancelled.
import { AgentError } from '../errors.ts';

/**
 * The result of `work`, or deadline_exceeded after `timeoutMs`; what was begun goes on by itself then, and its outcome is dropped.
 * @param doing for the error's text: `read the figures of /sys/fs/cgroup/x`
 */
export async function withinMs<T>(timeoutMs: number, doing: string, work: Promise<T>): Promise<T> {
  const { promise: elapsed, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new AgentError('deadline_exceeded', `${doing}: not done within ${timeoutMs} ms`, { fields: { timeoutMs } })),
    timeoutMs,
  );
  return await Promise.race([work, elapsed]).finally(() => clearTimeout(timer));
}
