// The RPCs of grpc.AgentService that Berth does not serve yet. They are in the table all the same, so that both
// protocols answer UNIMPLEMENTED by the method's name rather than by accident.
import { AgentError } from '../../errors.ts';
import type { Codec, Method } from '../../rpc/service.ts';
import { AGENT_SERVICE } from './method.ts';

const NAMES = ['GetMetrics'] as const;

/** The request is not looked at, so it is not decoded either. */
const undecoded: Codec<Uint8Array> = {
  encode: (message) => ({ finish: () => message }),
  decode: (bytes) => bytes,
};

export function laterMethods(): Method[] {
  return NAMES.map((name) => ({
    kind: 'unary',
    service: AGENT_SERVICE,
    name,
    request: undecoded,
    response: undecoded,
    handle: () => {
      throw new AgentError('unimplemented', `${name} is not implemented yet`, { fields: { method: name } });
    },
  }));
}
