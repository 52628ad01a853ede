// Kata's calls, as everything above the wire names them.
import type { KataClient } from './rpc/services.ts';

/** `grpc.AgentService`: `calls.createContainer({ containerId, ... })`. */
export type AgentCalls = KataClient['agent'];
