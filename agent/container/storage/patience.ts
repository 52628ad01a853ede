// How long to wait for work on a file system that may not answer: for ever while it gets on, not long when it stands still.
import { AgentError, type ErrorFields } from '../../errors.ts';

export interface Progress {
  /** Aborted when the patience is over: what has not begun by then must not begin. */
  readonly signal: AbortSignal;
  /** Work has got on; @param patienceMs how long the next step may take, if it is a long one. */
  moved(patienceMs?: number): void;
}

/**
 * The outcome of `work`, or deadline_exceeded when it has not moved for `patienceMs`. What hangs in the kernel can't be
 * taken back: it goes on by itself then, and `late` is told if it succeeds after all.
 * @param doing for the error's text: `attach storage x`
 */
export async function withPatience<T>(
  { patienceMs, doing, fields = {} }: { patienceMs: number; doing: string; fields?: ErrorFields },
  work: (progress: Progress) => Promise<T>,
  late?: (outcome: T) => Promise<void>,
): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const moved = (ms = patienceMs) => {
    clearTimeout(timer);
    if (controller.signal.aborted) return;
    timer = setTimeout(() => {
      const error = new AgentError('deadline_exceeded', `${doing}: nothing happened for ${ms} ms`, {
        fields: { ...fields, timeoutMs: ms },
      });
      controller.abort(error);
      reject(error);
    }, ms);
  };
  moved();
  const running = work({ signal: controller.signal, moved });
  try {
    return await Promise.race([running, over]);
  } catch (error) {
    if (controller.signal.aborted) running.then(late).catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
