// An agent as its clients see it: Kata's calls, Berth's own, and an end.
import { type ContainerInfo, containerInfo } from '../api/container-info.ts';
import type { RpcChannel } from '../rpc/channel.ts';
import { berthClient, type KataClient, kataClient } from './services.ts';

/** `grpc.AgentService`: `calls.createContainer({ containerId, ... })`. */
export type AgentCalls = KataClient['agent'];

export interface AgentClient extends AsyncDisposable {
  /** Where it was dialled. */
  readonly address: string;
  readonly kata: AgentCalls;
  /** All containers, oldest first. */
  containers(): Promise<ContainerInfo[]>;
  /** The agent's own version. */
  version(): Promise<string>;
  /** Resolves once the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

export function agentClient(address: string, channel: RpcChannel): AgentClient {
  const { agent, health } = kataClient(channel);
  const own = berthClient(channel);
  const close = async () => {
    channel.close();
    await channel.closed;
  };
  return {
    address,
    kata: agent,
    closed: channel.closed,
    containers: async () => (await own.containers.list({})).containers.map(containerInfo),
    version: async () => (await health.version({})).agentVersion,
    close,
    [Symbol.asyncDispose]: close,
  };
}
