// From a request to start a process to what is written down of it: a retry of the request is known by its digest.
import { createHash } from 'node:crypto';
import type { Clock } from './clock.ts';
import type { OwnerFacts } from './owner-facts.ts';
import type { ProcessClient } from './process-entry.ts';
import type { StartRequest } from './start-process.ts';

export function ownerFacts(request: StartRequest, client: ProcessClient, clock: Pick<Clock, 'now'>): OwnerFacts {
  const { labels, lifetime, graceMs, forgetWhenDone, timeoutMs, key } = request;
  return {
    name: client.name,
    session: client.session,
    labels,
    lifetime,
    graceMs,
    forgetWhenDone,
    timesOutAt: timeoutMs > 0 ? clock.now() + timeoutMs : undefined,
    key,
    digest: key === '' ? '' : digestOf(request),
  };
}

/** The same for the same request, whatever key it carries. */
export function digestOf({ key: _key, owner: _owner, ...request }: StartRequest): string {
  return createHash('sha256').update(JSON.stringify(request, withBigints)).digest('hex');
}

function withBigints(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}
