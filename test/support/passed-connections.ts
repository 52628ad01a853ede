// Connections to a guest's passfd port, with the port by which a request names each of them.
import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { dial } from '../../agent/transport/dial.ts';
import { parseEndpoint } from '../../agent/transport/endpoint.ts';
import { socketFromFd } from '../../agent/transport/pipe-handle.ts';
import type { Guest } from '../../client/vm/guest.ts';
import { native } from '../../native/index.ts';

const TIMEOUT_MS = 20_000;
/** More than a run of the spec writes. */
const CONSOLE_LINES = 100_000;

export interface PassedConnection {
  readonly socket: net.Socket;
  /** Ours, as the guest sees it. */
  readonly port: number;
}

/** One at a time. */
export async function openPassed(guest: Guest, port: number): Promise<PassedConnection> {
  const endpoint = parseEndpoint(guest.portAddress(port));
  if (endpoint.kind === 'vsock') {
    const fd = await native().vsockConnect(endpoint.cid, endpoint.port, TIMEOUT_MS);
    return { port: native().vsockLocal(fd).port, socket: socketFromFd(fd) };
  }
  // vhost-device-vsock does not tell which port it took: the agent's log does.
  const before = new Set(waitingPorts(guest));
  const socket = await dial(endpoint);
  for (const end = performance.now() + TIMEOUT_MS; performance.now() < end; await sleep(10)) {
    const found = waitingPorts(guest).find((other) => !before.has(other));
    if (found !== undefined) return { socket, port: found };
  }
  throw new Error('the agent did not tell of the connection');
}

function waitingPorts(guest: Guest): number[] {
  return guest.consoleTail(CONSOLE_LINES).flatMap((line) => {
    if (!line.includes('"connection for a stream waits"')) return [];
    const port = /"port":"?(\d+)/.exec(line);
    return port ? [Number(port[1])] : [];
  });
}

export async function readAll(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
