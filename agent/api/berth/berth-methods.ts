// All of berth.v1. Loaded with its messages at the first call or the first gRPC client, so that an agent that only meets Kata never pays.
import { bootId } from '../../guest/facts.ts';
import type { Method } from '../../rpc/service.ts';
import type { Clients } from '../../sandbox/clients.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { type AgentSelf, agentMethods } from './agent.ts';
import { containerMethods } from './containers.ts';
import { eventMethods } from './events.ts';

export interface BerthHost {
  readonly sandbox: Sandbox;
  readonly clients: Clients;
  readonly self: AgentSelf;
}

export function berthMethods({ sandbox, clients, self }: BerthHost): Method[] {
  return [
    ...agentMethods(sandbox, clients, self),
    ...containerMethods(sandbox, clients),
    ...eventMethods(sandbox.events, clients, bootId),
  ];
}
