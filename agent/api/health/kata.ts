// grpc.Health, Kata's own: a host's monitor asks every few seconds, and one missed answer ends the pod. Takes no lock, waits for nothing.
import { grpc } from '#proto/kata.js';
import type { Method, UnaryMethod } from '../../rpc/service.ts';
import { KATA_VERSION } from '../../version.ts';

const SERVICE = 'grpc.Health';
/** What Kata's agent has answered since its first release. */
const GRPC_VERSION = '0.0.1';

const check: UnaryMethod<grpc.CheckRequest, grpc.HealthCheckResponse.$Properties> = {
  kind: 'unary',
  immediate: true,
  service: SERVICE,
  name: 'Check',
  request: grpc.CheckRequest,
  response: grpc.HealthCheckResponse,
  handle: () => ({ status: grpc.HealthCheckResponse.ServingStatus.SERVING }),
};

const version: UnaryMethod<grpc.CheckRequest, grpc.VersionCheckResponse.$Properties> = {
  kind: 'unary',
  immediate: true,
  service: SERVICE,
  name: 'Version',
  request: grpc.CheckRequest,
  response: grpc.VersionCheckResponse,
  handle: () => ({ grpcVersion: GRPC_VERSION, agentVersion: KATA_VERSION }),
};

export const kataHealthMethods: readonly Method[] = [check, version];
