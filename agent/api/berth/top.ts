// berth.v1.Agent/Top: what the agent is doing, for whoever looks.
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import type { ConnectionUse, Method } from '../../rpc/service.ts';
import type { Clients } from '../../sandbox/clients.ts';
import type { ProcessTable } from '../../sandbox/process-table.ts';
import { berthService } from './method.ts';
import { refuse } from './process-ref.ts';

const v1 = berth.v1;
const [MIN_INTERVAL_MS, MAX_INTERVAL_MS] = [100, 60_000];

/** What the agent as a whole knows of its use. */
export interface AgentUse {
  connections(): ConnectionUse[];
  /** Bytes for a connection that have not left the agent's memory. */
  inFlight(connectionId: string): number;
  /** Held in all logs. */
  logBytes(): number;
}

export interface TopMethodOptions {
  readonly clients: Clients;
  readonly processes: ProcessTable;
  readonly use: AgentUse;
  openTunnels(): number;
}

export function topMethod({ clients, processes, use, openTunnels }: TopMethodOptions): Method {
  const { serverStream } = berthService('Agent', clients);
  return serverStream('Top', v1.TopRequest, v1.TopResponse, async function* ({ intervalMs }, { signal }) {
    if (intervalMs !== 0 && (intervalMs < MIN_INTERVAL_MS || intervalMs > MAX_INTERVAL_MS)) {
      refuse('interval_ms', `${intervalMs} is neither 0 nor from ${MIN_INTERVAL_MS} to ${MAX_INTERVAL_MS}`);
    }
    const { LoopDelay, streamUses } = await import('../../sandbox/top.ts');
    const delay = new LoopDelay();
    try {
      for (let waitMs = MIN_INTERVAL_MS; ; waitMs = intervalMs) {
        await sleep(waitMs, undefined, { signal });
        const { heapUsed, rss } = process.memoryUsage();
        yield {
          uptimeMs: BigInt(Math.round(process.uptime() * 1000)),
          heapBytes: BigInt(heapUsed),
          residentBytes: BigInt(rss),
          loopDelayMaxMs: delay.takeMax(),
          logBytes: BigInt(use.logBytes()),
          clients: use.connections().map((connection) => clientMessage(connection, clients, use)),
          streams: streamUses(processes.list()).map(({ ref, readers, ...stream }) => ({
            ...stream,
            ...ref,
            readers: readers.map(({ behind, ...reader }) => ({ ...reader, behindBytes: behind })),
          })),
          tunnels: openTunnels(),
        };
        if (intervalMs === 0) return;
      }
    } finally {
      delay.close();
    }
  });
}

function clientMessage(
  { caller, calls, streams, sentBytes }: ConnectionUse,
  clients: Clients,
  use: AgentUse,
): berth.v1.TopResponse.Client.$Properties {
  const { id, protocol, peer } = caller;
  const name = clients.find(id)?.name ?? '';
  return { id, name, protocol, peer, calls, streams, inFlightBytes: BigInt(use.inFlight(id)), sentBytes: BigInt(sentBytes) };
}
