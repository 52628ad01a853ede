// grpc.health.v1.Health, for stock gRPC tools (gRPC Health Checking Protocol). Every service we have is up for as long as the agent is.
import { grpc } from '#proto/health.js';
import { AgentError } from '../../errors.ts';
import type { CallContext, Method, StreamMethod, UnaryMethod } from '../../rpc/service.ts';

const { HealthCheckRequest, HealthCheckResponse } = grpc.health.v1;
const { ServingStatus } = HealthCheckResponse;

type Request = grpc.health.v1.HealthCheckRequest;
type Response = grpc.health.v1.HealthCheckResponse.$Properties;

const SERVICE = 'grpc.health.v1.Health';

/** @param services full names of the services that are served */
export function standardHealthMethods(services: Iterable<string>): Method[] {
  const known = new Set(['', SERVICE, ...services]);
  const check: UnaryMethod<Request, Response> = {
    kind: 'unary',
    immediate: true,
    service: SERVICE,
    name: 'Check',
    request: HealthCheckRequest,
    response: HealthCheckResponse,
    handle: ({ service }) => {
      if (!known.has(service)) throw new AgentError('not_found', `no service named "${service}"`, { fields: { service } });
      return { status: ServingStatus.SERVING };
    },
  };
  const watch: StreamMethod<Request, Response> = {
    kind: 'server-stream',
    service: SERVICE,
    name: 'Watch',
    request: HealthCheckRequest,
    response: HealthCheckResponse,
    handle: async function* (requests, call) {
      for await (const { service } of requests) {
        yield { status: known.has(service) ? ServingStatus.SERVING : ServingStatus.SERVICE_UNKNOWN };
        await aborted(call);
      }
    },
  };
  return [check, watch];
}

/** The state never changes while the agent lives, so what is left is to keep the stream open. */
function aborted({ signal }: CallContext): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
