// Connections to a guest's passfd port, with the port by which a request names each of them.
import { once } from 'node:events';
import net from 'node:net';
import { parseEndpoint } from '../../agent/transport/endpoint.ts';
import { socketFromFd } from '../../agent/transport/pipe-handle.ts';
import { native } from '../../native/index.ts';

export interface PassedConnection {
  readonly socket: net.Socket;
  /** Ours, as the guest sees it. */
  readonly port: number;
}

/** @param address of the guest's port, as Guest.portAddress gives it */
export async function openPassed(address: string): Promise<PassedConnection> {
  const endpoint = parseEndpoint(address);
  if (endpoint.kind === 'vsock') {
    const fd = await native().vsockConnect(endpoint.cid, endpoint.port, 10_000);
    return { port: native().vsockLocal(fd).port, socket: socketFromFd(fd) };
  }
  if (endpoint.kind !== 'hvsock') throw new Error(`${address} leads to no vsock`);
  const socket = net.connect({ path: endpoint.path });
  await once(socket, 'connect');
  socket.write(`CONNECT ${endpoint.port}\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.pause();
  const port = /^OK (\d+)\n$/.exec(answer.toString());
  if (port === null) throw new Error(`the handshake was answered with ${JSON.stringify(answer.toString())}`);
  return { port: Number(port[1]), socket };
}

export async function readAll(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
