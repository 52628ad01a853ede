// grpc.AgentService as Kata's hosts know it: all of its methods, family by family.
import type { Network } from '../../guest/network/network.ts';
import type { Turns } from '../../process/stream/turns.ts';
import type { Method } from '../../rpc/service.ts';
import type { GuestHost } from '../../sandbox/guest-host.ts';
import { containerMethods } from './containers.ts';
import { disabledMethods } from './disabled.ts';
import { fileMethods } from './files.ts';
import { guestMethods } from './guest.ts';
import { metricsMethods } from './metrics.ts';
import { networkMethods } from './network.ts';
import type { Passfd } from './passfd.ts';
import { processMethods } from './processes.ts';
import { type SandboxMethodOptions, sandboxMethods } from './sandboxes.ts';
import { stdioMethods } from './stdio.ts';
import { volumeMethods } from './volumes.ts';

export interface AgentServiceOptions extends SandboxMethodOptions {
  guest: GuestHost;
  network: Network;
  /** Who may send bulk next. */
  turns: Turns;
  passfd?: Passfd;
}

export function agentServiceMethods(options: AgentServiceOptions): Method[] {
  const { sandbox, guest, network, turns, passfd } = options;
  return [
    ...sandboxMethods(options),
    ...containerMethods(sandbox, passfd),
    ...processMethods(sandbox, passfd),
    ...stdioMethods(sandbox, turns),
    ...networkMethods(network),
    ...volumeMethods(guest, sandbox),
    ...guestMethods(guest),
    ...fileMethods(guest.files),
    ...metricsMethods(guest.metrics),
    ...disabledMethods(),
  ];
}
