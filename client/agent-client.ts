// An agent as its clients see it: Kata's calls, Berth's own, health, and an end.
import type { AgentCalls } from './agent-calls.ts';

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
  readonly address: string;
  readonly kata: AgentCalls;
  /** All containers, oldest first. */
  containers(): Promise<ContainerInfo[]>;
  /** The agent's own version. */
  version(): Promise<string>;
  close(): Promise<void>;
}
