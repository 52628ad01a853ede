// The agent's own table of methods with nothing behind it: for tests that look at the methods and never let one run.
import { berthMethods } from '../../../../agent/api/berth/berth-methods.ts';
import { kataHealthMethods } from '../../../../agent/api/health/kata.ts';
import { agentServiceMethods } from '../../../../agent/api/kata/agent-service.ts';
import type { Method } from '../../../../agent/rpc/service.ts';

export function absentMethods(): Method[] {
  const absent: never = new Proxy({}, { get: () => absent }) as never;
  return [
    ...kataHealthMethods,
    ...agentServiceMethods({ sandbox: absent, network: absent, guestDetails: absent, guest: absent, turns: absent }),
    ...berthMethods({
      sandbox: absent,
      clients: absent,
      self: absent,
      use: absent,
      upgrade: absent,
      turns: absent,
      door: absent,
      state: absent,
      core: absent,
    }),
  ];
}
