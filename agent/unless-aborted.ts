// Waiting for something or for a signal, whichever comes first, without leaving a listener behind.

/**
 * Settles as `work` does, unless the signal comes first; then `work` goes on, and its failure is nobody's. For waits that come again and again on
 * one signal: Promise.race with one promise for the signal would gather a reaction for each.
 * @throws the signal's reason
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Each value of `source` in turn, waited for as `unlessAborted` waits. Whoever leaves early leaves `source` as it is. @throws the signal's reason */
export async function* eachUnlessAborted<T>(source: AsyncIterator<T>, signal: AbortSignal): AsyncGenerator<T> {
  for (;;) {
    const next = await unlessAborted(source.next(), signal);
    if (next.done) return;
    yield next.value;
  }
}
