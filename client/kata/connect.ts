// Connects to an agent by Kata's calls, over either protocol, and knows that it answers; a connection that is lost stays lost
// (client/api/guest.ts heals). While a VM boots, connections are refused, reset, or taken by the VMM and dropped again, so dialling is repeated
// until a deadline.
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, hasCode } from '../../agent/errors.ts';
import { keepsAsking, openChannel, type Protocol } from '../rpc/open-channel.ts';
import { type AgentClient, agentClient } from './agent-client.ts';
import { kataClient } from './services.ts';

export interface ConnectOptions {
  /** Default ttrpc, the faster one. */
  protocol?: Protocol;
  /** For everything, the agent's first answer included, ms. Default 10 000. */
  timeoutMs?: number;
  /** Dial again while nobody answers, for an agent that is about to listen. Default true. */
  retry?: boolean;
  signal?: AbortSignal;
}

const TIMEOUT_MS = 10_000;
/** Kata's clients redial as often. */
const REDIAL_MS = 10;
/**
 * The first attempt; a guest that is still booting may swallow a connection without a word. Each further one gets twice the
 * time: clients that gave up on a busy agent and came back at once would only add to its work.
 */
const FIRST_ATTEMPT_MS = 2_000;

/**
 * Dials `vsock://cid:port`, `hvsock://socket:port`, `unix://path` or `serial://socket` and waits for the answer to a health check.
 * @throws AgentError unavailable when nobody answered in time, with the last reason; invalid_argument for a bad address;
 * cancelled
 */
export async function connectKata(address: string, options: ConnectOptions = {}): Promise<AgentClient> {
  const { timeoutMs = TIMEOUT_MS, retry = true, signal } = options;
  const deadline = performance.now() + timeoutMs;
  for (let attemptMs = keepsAsking(address) ? timeoutMs : FIRST_ATTEMPT_MS; ; ) {
    const left = deadline - performance.now();
    try {
      return await attempt(address, options, Math.max(1, Math.ceil(retry ? Math.min(left, attemptMs) : left)));
    } catch (error) {
      if (signal?.aborted) throw new AgentError('cancelled', `connect to ${address}: cancelled`, { cause: signal.reason });
      if (!mayPass(error)) throw error;
      if (hasCode(error, 'deadline_exceeded')) attemptMs *= 2;
      if (!retry || performance.now() + REDIAL_MS >= deadline) {
        throw new AgentError('unavailable', `no agent answers at ${address}${retry ? ` within ${timeoutMs} ms` : ''}`, {
          cause: error,
          fields: { address },
        });
      }
      await sleep(REDIAL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => {});
    }
  }
}

async function attempt(address: string, { protocol, signal }: ConnectOptions, timeoutMs: number): Promise<AgentClient> {
  const started = performance.now();
  const within = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  const channel = await openChannel(address, { ...within, ...(protocol === undefined ? {} : { protocol }) });
  try {
    const left = Math.max(1, Math.ceil(timeoutMs - (performance.now() - started)));
    await kataClient(channel).health.check({}, { ...within, timeoutMs: left });
  } catch (error) {
    channel.close();
    throw error;
  }
  return agentClient(address, channel);
}

/** What a guest that is still booting looks like from outside. */
function mayPass(error: unknown): boolean {
  return hasCode(error, 'unavailable') || hasCode(error, 'deadline_exceeded') || hasCode(error, 'cancelled');
}
