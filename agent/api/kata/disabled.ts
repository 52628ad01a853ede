// RPCs of parts that Kata's default build leaves out, answered as that build answers them.
import { google, grpc } from '#proto/kata.js';
import { AgentError } from '../../errors.ts';
import type { Method } from '../../rpc/service.ts';
import { AGENT_SERVICE, kataMethod } from './method.ts';

const { Empty } = google.protobuf;

export function disabledMethods(): Method[] {
  return [
    kataMethod('MemAgentMemcgSet', grpc.MemAgentMemcgConfig, Empty, refuseMemAgent),
    kataMethod('MemAgentCompactSet', grpc.MemAgentCompactConfig, Empty, refuseMemAgent),
    kataMethod('SetPolicy', grpc.SetPolicyRequest, Empty, () => {
      throw new AgentError('unimplemented', `/${AGENT_SERVICE}/SetPolicy is not supported`, { fields: { method: 'SetPolicy' } });
    }),
  ];
}

function refuseMemAgent(): never {
  throw new AgentError('internal', 'mem-agent is disabled');
}
