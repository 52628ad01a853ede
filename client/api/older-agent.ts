// Asks an agent that does not know this API who it is, the way every agent of Kata's kind can be asked. Loaded when that has happened.

import { kataClient } from '../kata/services.ts';
import { openChannel } from '../rpc/open-channel.ts';

const ANSWER_MS = 2_000;

/** Undefined when what is there does not answer. */
export async function agentVersion(address: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const options = { timeoutMs: ANSWER_MS, signal };
    const channel = await openChannel(address, { ...options, protocol: 'ttrpc' });
    try {
      return (await kataClient(channel).health.version({}, options)).agentVersion;
    } finally {
      channel.close();
    }
  } catch {
    return undefined;
  }
}
