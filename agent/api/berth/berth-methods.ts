// All of berth.v1. Loaded with its messages at the first call or the first gRPC client, so that an agent that only meets Kata never pays.
import { bootId } from '../../guest/facts.ts';
import type { Turns } from '../../process/stream/turns.ts';
import type { Method } from '../../rpc/service.ts';
import type { Clients } from '../../sandbox/clients.ts';
import type { Core } from '../../sandbox/core.ts';
import { FileRoots, type FileRootsHost } from '../../sandbox/file-roots.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import type { Tunnels } from '../../sandbox/tunnels.ts';
import { type AgentSelf, agentMethods } from './agent.ts';
import { containerMethods } from './containers.ts';
import { eventMethods } from './events.ts';
import { fileMethods } from './files.ts';
import { processMethods } from './processes.ts';
import { type AgentUse, topMethod } from './top.ts';
import { tunnelMethods } from './tunnels.ts';
import { type UpgradeHost, upgradeMethod } from './upgrade.ts';

export interface BerthHost {
  readonly sandbox: Sandbox;
  readonly clients: Clients;
  readonly self: AgentSelf;
  readonly use: AgentUse;
  readonly turns: Turns;
  readonly door: FileRootsHost['door'];
  readonly state: FileRootsHost['state'];
  readonly core: Core;
  readonly upgrade: UpgradeHost;
}

export function berthMethods({ sandbox, clients, self, use, turns, door, state, core, upgrade }: BerthHost): Method[] {
  const { processes, lifetimes, lease } = core;
  const tunnels = tunnelsOf(sandbox);
  return [
    ...agentMethods({ sandbox, clients, self, lease }),
    ...containerMethods({ sandbox, clients, processes, lifetimes, bootId }),
    ...processMethods({ processes, clients, turns, bootId }),
    ...fileMethods({ roots: new FileRoots({ sandbox, door, state }), clients, turns }),
    ...eventMethods(sandbox.events, clients, bootId),
    ...tunnelMethods({ tunnels: tunnels.get, clients, turns }),
    upgradeMethod(upgrade, clients),
    topMethod({ clients, processes, use, openTunnels: tunnels.open }),
  ];
}

/** Made at the first tunnel. */
function tunnelsOf(sandbox: Sandbox) {
  let made: Tunnels | undefined;
  return {
    get: async (): Promise<Tunnels> => {
      const { Tunnels } = await import('../../sandbox/tunnels.ts');
      made ??= new Tunnels(sandbox);
      return made;
    },
    open: () => made?.open ?? 0,
  };
}
