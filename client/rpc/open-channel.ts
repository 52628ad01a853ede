// From an address to a channel.
import { type DialOptions, dial } from '../../agent/transport/dial.ts';
import { parseEndpoint } from '../../agent/transport/endpoint.ts';
import type { RpcChannel } from './channel.ts';
import { GrpcClient } from './grpc-client.ts';
import { TtrpcClient } from './ttrpc-client.ts';

export type Protocol = 'ttrpc' | 'grpc';

export interface ChannelOptions extends DialOptions {
  /** Default ttrpc, the faster one. */
  protocol?: Protocol;
}

/**
 * Whether dialling that address is best left alone for as long as there is time: a client of a serial line asks again by itself, and hanging
 * up to dial again would only make the line take longer.
 */
export function keepsAsking(address: string): boolean {
  return /^serial:/.test(address);
}

/**
 * Dials an agent once: `vsock://cid:port`, `hvsock://path:port`, `unix://path` or `serial://path`.
 * @throws {AgentError} as `dial` and `parseEndpoint` do
 */
export async function openChannel(address: string, options: ChannelOptions = {}): Promise<RpcChannel> {
  const socket = await dial(parseEndpoint(address), options);
  return options.protocol === 'grpc' ? new GrpcClient(socket) : new TtrpcClient(socket);
}
