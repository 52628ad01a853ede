// An agent as its clients see it: Kata's calls, Berth's own, and an end.
import { berth } from '#proto/berth.js';
import type { AgentCalls } from './agent-calls.ts';
import type { RpcChannel } from './rpc/channel.ts';
import { berthClient, kataClient } from './rpc/services.ts';

export type ContainerStateName = 'created' | 'running' | 'paused' | 'stopped';

export interface ContainerInfo {
  id: string;
  state: ContainerStateName;
  /** In the guest's own PID namespace; 0 once it is gone. */
  pid: number;
  /** ms since 1970, by the guest's clock */
  createdAt: number;
  startedAt?: number;
  args: string[];
  execs: { id: string; pid: number; args: string[] }[];
  /** Only of a stopped container. */
  exitStatus?: number;
}

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

type ContainerMessage = berth.v1.ListResponse['containers'][number];

function containerInfo(message: ContainerMessage): ContainerInfo {
  const started = Number(message.startedUnixMs ?? 0n);
  const state = stateName(message.state ?? 0);
  return {
    id: message.id ?? '',
    state,
    pid: message.pid ?? 0,
    createdAt: Number(message.createdUnixMs ?? 0n),
    ...(started === 0 ? {} : { startedAt: started }),
    args: message.args ?? [],
    execs: (message.execs ?? []).map(({ id, pid, args }) => ({ id: id ?? '', pid: pid ?? 0, args: args ?? [] })),
    ...(state === 'stopped' ? { exitStatus: message.exitStatus ?? 0 } : {}),
  };
}

function stateName(state: berth.v1.Container.State): ContainerStateName {
  const { State } = berth.v1.Container;
  if (state === State.STATE_RUNNING) return 'running';
  if (state === State.STATE_PAUSED) return 'paused';
  return state === State.STATE_STOPPED ? 'stopped' : 'created';
}
