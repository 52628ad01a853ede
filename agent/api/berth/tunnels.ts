// berth.v1.Tunnels: one call is one connection to something that listens in the guest or in a container.
import { isIP } from 'node:net';
import { berth } from '#proto/berth.js';
import { AgentError } from '../../errors.ts';
import type { TunnelTarget } from '../../guest/tunnel/connect.ts';
import type { Turns } from '../../process/stream/turns.ts';
import type { Encoder, Method } from '../../rpc/service.ts';
import type { Clients } from '../../sandbox/clients.ts';
import type { Tunnel, TunnelEvent } from '../../sandbox/tunnel.ts';
import type { TunnelRequest, Tunnels } from '../../sandbox/tunnels.ts';
import { frameAround, varintLength, writeVarint } from './bulk-frame.ts';
import { berthService } from './method.ts';
import { refuse } from './process-ref.ts';

const v1 = berth.v1;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;
/** man 7 path_resolution; of an abstract name sun_path's length counts (man 7 unix). */
const MAX_PATH_BYTES = 4095;
const MAX_ABSTRACT_BYTES = 107;

export interface TunnelMethodOptions {
  /** Loaded at the first tunnel. */
  tunnels(): Promise<Tunnels>;
  readonly clients: Clients;
  readonly turns: Turns;
}

export function tunnelMethods({ tunnels, clients, turns }: TunnelMethodOptions): Method[] {
  const { duplex } = berthService('Tunnels', clients);
  return [
    duplex('Open', v1.TunnelRequest, tunnelResponse, async ({ requests, send }, { caller, signal }) => {
      const messages = requests[Symbol.asyncIterator]();
      const request = toRequest(await messages.next());
      const table = await tunnels();
      const tunnel = await table.connect(request, { turns, clientId: caller.id, signal, send });
      try {
        const running = tunnel.run();
        running.catch(() => {});
        // A client that sends no more goes on reading; one that sends what makes no sense ends its call.
        await Promise.race([running, obey(messages, tunnel).then(() => running)]);
      } finally {
        tunnel.close();
      }
    }),
  ];
}

/** @throws invalid_argument */
function toRequest(first: IteratorResult<berth.v1.TunnelRequest>): TunnelRequest {
  const target = first.done ? undefined : first.value.target;
  if (!target) refuse('target', 'must be the first message of Open');
  const { tcp, unix, containerId, credit, timeoutMs } = target;
  if ((timeoutMs ?? 0) > MAX_TIMEOUT_MS) refuse('target.timeout_ms', `${timeoutMs}, more than ${MAX_TIMEOUT_MS}`);
  return {
    target: tcp ? toTcp(tcp) : unix ? toUnix(unix) : refuse('target', 'has neither `tcp` nor `unix`'),
    containerId: containerId ?? '',
    timeoutMs: timeoutMs || DEFAULT_TIMEOUT_MS,
    credit: credit ?? 0,
  };
}

function toTcp({ host, port }: berth.v1.TunnelRequest.Tcp.$Properties): TunnelTarget {
  const address = host || '127.0.0.1';
  if (isIP(address) === 0 || address.includes('%')) refuse('target.tcp.host', `${JSON.stringify(host)} is no IP address`);
  if (port == null || port < 1 || port > 0xffff) refuse('target.tcp.port', `${port ?? 0} is not from 1 to 65535`);
  return { kind: 'tcp', host: address, port };
}

function toUnix({ path: given }: berth.v1.TunnelRequest.UnixSocket.$Properties): TunnelTarget {
  const path = given ?? '';
  const field = 'target.unix.path';
  const abstract = path.startsWith('@');
  if (!abstract && !path.startsWith('/')) refuse(field, `${JSON.stringify(path)} is neither absolute nor '@' and a name`);
  if (path.includes('\0')) refuse(field, 'contains a NUL');
  if (abstract && path.length === 1) refuse(field, "'@' without a name");
  const most = abstract ? MAX_ABSTRACT_BYTES : MAX_PATH_BYTES;
  if (Buffer.byteLength(path) > most) refuse(field, `is longer than ${most} bytes`);
  return { kind: 'unix', path };
}

async function obey(messages: AsyncIterator<berth.v1.TunnelRequest>, tunnel: Tunnel): Promise<void> {
  for (let next = await messages.next(); !next.done; next = await messages.next()) {
    const { message, data, credit } = next.value;
    if (message === 'data') tunnel.write(Buffer.from(data!.buffer, data!.byteOffset, data!.length));
    else if (message === 'credit') tunnel.credit(credit ?? 0);
    else if (message === 'end') tunnel.end();
    else throw new AgentError('invalid_argument', 'a message of Open after the first is empty or `target` again');
  }
  // A call that was cut ends like this as well, a moment before it is told: no listener may take that for the end of what it was sent.
  if (!tunnel.clientEnded) throw new AgentError('cancelled', 'the client has ended the call without `end`');
}

const tunnelResponse: Encoder<TunnelEvent> = {
  encode: (event) => v1.TunnelResponse.encode(toResponse(event)),
  frame: (event, headroom) => (event.kind === 'data' ? frameData(event.data, event.headroom, headroom) : undefined),
};

function toResponse(event: TunnelEvent): berth.v1.TunnelResponse.$Properties {
  switch (event.kind) {
    case 'connected':
      return { connected: { credit: event.credit } };
    case 'data':
      return { data: event.data };
    case 'end':
      return { end: true };
    case 'reset':
      return { reset: event.errno };
    case 'credit':
      return { credit: event.bytes };
  }
}

/** Tag of field 2 (data): number << 3 | wire type (protobuf encoding). */
const DATA_TAG = 0x12;

function frameData(data: Buffer, room: number, headroom: number): Buffer {
  const length = BigInt(data.length);
  const frame = frameAround(data, room, headroom + 1 + varintLength(length));
  frame[headroom] = DATA_TAG;
  writeVarint(frame, headroom + 1, length);
  return frame;
}
