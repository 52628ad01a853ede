// grpc.AgentService as Kata's hosts know it: all of its methods, family by family.
import type { Method } from '../../rpc/service.ts';
import { containerMethods } from './containers.ts';
import { laterMethods } from './later.ts';
import { processMethods } from './processes.ts';
import { type SandboxMethodOptions, sandboxMethods } from './sandboxes.ts';
import { stdioMethods } from './stdio.ts';

export function agentServiceMethods(options: SandboxMethodOptions): Method[] {
  const { sandbox } = options;
  return [
    ...sandboxMethods(options),
    ...containerMethods(sandbox),
    ...processMethods(sandbox),
    ...stdioMethods(sandbox),
    ...laterMethods(),
  ];
}
