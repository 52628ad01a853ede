// How Kata's view differs from the core: its service name, and which code and text its clients expect for a failure
// (kata-agent.md §3.0, §4.7). The only place that turns core errors into Kata's.
import { AgentError, type Code, errnoOf, isAgentError } from '../../errors.ts';
import type { CallContext, Decoder, Encoder, UnaryMethod } from '../../rpc/service.ts';

export const AGENT_SERVICE = 'grpc.AgentService';

/** What Kata answers for a container it does not know depends on the call. */
export type UnknownContainer = 'internal' | 'invalid_argument';

export interface KataRules {
  /** A malformed container id is INTERNAL to CreateContainer, as a bad argument of the original is (§3.3). */
  badContainerId?: 'internal';
  unknownContainer?: UnknownContainer;
  /** not_found unless told: runtime-rs takes that code as "already terminated". */
  unknownProcess?: Code;
  /** The kernel's refusals are all INTERNAL, whatever their errno: a permission that it denies is not a policy's. */
  systemError?: 'internal';
}

/** Codes that Kata's clients know as they are; every other failure is INTERNAL there. */
const KEPT: ReadonlySet<Code> = new Set([
  'invalid_argument',
  'permission_denied',
  'deadline_exceeded',
  'resource_exhausted',
  'unimplemented',
  'unavailable',
  'cancelled',
]);

/** One entry of the method table for `grpc.AgentService`. */
export function kataMethod<Req, Res>(
  name: string,
  request: Decoder<Req>,
  response: Encoder<Res>,
  handle: (request: Req, call: CallContext) => Promise<Res> | Res,
  rules: KataRules = {},
): UnaryMethod<Req, Res> {
  return {
    kind: 'unary',
    service: AGENT_SERVICE,
    name,
    request,
    response,
    handle: async (message, call) => {
      try {
        return await handle(message, call);
      } catch (error) {
        throw asKataError(error, rules);
      }
    },
  };
}

export function asKataError(error: unknown, rules: KataRules): unknown {
  if (!isAgentError(error)) return error;
  if (error.code === 'not_found' && error.fields['missing'] === 'container') {
    return renamed(error, rules.unknownContainer ?? 'internal', `Invalid container id: ${error.message}`);
  }
  if (error.code === 'not_found' && error.fields['missing'] === 'process') {
    return renamed(error, rules.unknownProcess ?? 'not_found', error.message);
  }
  if (error.fields['field'] === 'container_id' && rules.badContainerId !== undefined) {
    return renamed(error, rules.badContainerId, error.message);
  }
  if (rules.systemError !== undefined && errnoOf(error.cause) !== undefined) {
    return renamed(error, rules.systemError, error.message);
  }
  // NOT_FOUND tells runtime-rs that a process has ended, so nothing else may say it: a missing file, a root.
  if (error.code === 'not_found') return renamed(error, 'internal', error.message);
  return KEPT.has(error.code) ? error : renamed(error, 'internal', error.message);
}

function renamed(error: AgentError, code: Code, message: string): AgentError {
  return new AgentError(code, message, { cause: error, fields: error.fields });
}
