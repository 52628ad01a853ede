// A container as the listings show it: the agent's message in plain values.
import { berth } from '#proto/berth.js';

/** What a container is doing. */
export type ContainerState = 'created' | 'running' | 'paused' | 'stopped';

export interface ContainerInfo {
  id: string;
  state: ContainerState;
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

export function containerInfo(message: berth.v1.Container.$Properties): ContainerInfo {
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

export function stateName(state: berth.v1.Container.State): ContainerState {
  const { State } = berth.v1.Container;
  if (state === State.STATE_RUNNING) return 'running';
  if (state === State.STATE_PAUSED) return 'paused';
  return state === State.STATE_STOPPED ? 'stopped' : 'created';
}
