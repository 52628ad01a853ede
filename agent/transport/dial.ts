// Dialling: an endpoint in, a connected socket out, with every byte the peer has sent still in it. Used by
// clients; the agent itself dials only to send its traces.
import net from 'node:net';
import { native } from '../../native/index.ts';
import { AgentError, errnoOf, fromErrno } from '../errors.ts';
import { type Endpoint, formatEndpoint, type HybridEndpoint } from './endpoint.ts';
import { socketFromFd } from './pipe-handle.ts';

export interface DialOptions {
  /** For the whole of it, handshake included. Default 10 s, the limit VMMs set themselves. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** Nobody to talk to, now: no socket file, no such guest, or (EAGAIN, man 2 connect) a listener whose queue is full. */
const NOT_THERE: ReadonlySet<string> = new Set(['ENOENT', 'ENODEV', 'EAGAIN']);
/** A handshake answer is `OK <port>\n`; more than this is none. */
const MAX_ANSWER_BYTES = 64;

/**
 * One attempt to connect.
 * @throws {AgentError} unavailable when nobody listens (ECONNREFUSED, ECONNRESET, ENOENT, or the VMM closed the connection),
 * deadline_exceeded, cancelled; resource_exhausted when another client has the serial line; `fields.endpoint` names the address
 */
export async function dial(endpoint: Endpoint, options: DialOptions = {}): Promise<net.Socket> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  try {
    signal.throwIfAborted();
    switch (endpoint.kind) {
      case 'vsock':
        return await connectVsock(endpoint.cid, endpoint.port, timeoutMs, signal);
      case 'unix':
        return await connectUnix(endpoint.path, signal);
      case 'hvsock':
        return await connectHybrid(endpoint, signal);
      case 'serial': {
        const [{ dialSerial }, connected] = await Promise.all([import('./serial/dial.ts'), connectUnix(endpoint.path, signal)]);
        return await dialSerial(connected, endpoint.path, signal);
      }
    }
  } catch (error) {
    throw dialError(error, endpoint, timeout.aborted, timeoutMs);
  }
}

async function connectVsock(cid: number, port: number, timeoutMs: number, signal: AbortSignal): Promise<net.Socket> {
  const fd = await native().vsockConnect(cid, port, timeoutMs);
  if (signal.aborted) {
    native().close(fd);
    throw signal.reason;
  }
  return socketFromFd(fd);
}

function connectUnix(path: string, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path });
    const fail = (error: unknown) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(error);
    };
    const onAbort = () => fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

/** `CONNECT <port>\n`, answered by a line that starts with OK (Firecracker docs/vsock.md). */
async function connectHybrid(endpoint: HybridEndpoint, signal: AbortSignal): Promise<net.Socket> {
  const socket = await connectUnix(endpoint.path, signal);
  try {
    socket.write(`CONNECT ${endpoint.port}\n`);
    const answer = await readLine(socket, signal);
    if (!/^OK\b/.test(answer)) throw new AgentError('unavailable', `the handshake was answered with "${answer}"`);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Reads up to a newline and puts back what came after it. */
function readLine(socket: net.Socket, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = Buffer.alloc(0);
    const settle = (finish: () => void) => {
      socket.off('readable', onReadable).off('end', onEnd).off('error', onError);
      signal.removeEventListener('abort', onAbort);
      finish();
    };
    const onReadable = () => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
        line = Buffer.concat([line, chunk]);
        const newline = line.indexOf('\n');
        if (newline >= 0) {
          const rest = line.subarray(newline + 1);
          settle(() => {
            if (rest.length > 0) socket.unshift(rest);
            resolve(line.toString('latin1', 0, newline).trimEnd());
          });
          return;
        }
        if (line.length > MAX_ANSWER_BYTES) {
          settle(() => reject(new AgentError('unavailable', 'the handshake answer has no end of line')));
          return;
        }
      }
    };
    // A VMM closes the connection when nobody in the guest listens on the port.
    const onEnd = () =>
      settle(() => reject(new AgentError('unavailable', 'the VMM closed the connection: nobody listens on that port')));
    const onError = (error: Error) => settle(() => reject(error));
    const onAbort = () => settle(() => reject(signal.reason));
    socket.on('readable', onReadable).on('end', onEnd).on('error', onError);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function dialError(error: unknown, endpoint: Endpoint, timedOut: boolean, timeoutMs: number): AgentError {
  const address = formatEndpoint(endpoint);
  const fields = { endpoint: address };
  if (timedOut || errnoOf(error) === 'ETIMEDOUT') {
    const none =
      endpoint.kind === 'serial'
        ? 'no agent answers on the line (is this its port, does it listen there, has another client the line?)'
        : 'no connection';
    return new AgentError('deadline_exceeded', `dial ${address}: ${none} within ${timeoutMs} ms`, { cause: error, fields });
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return new AgentError('cancelled', `dial ${address}: cancelled`, { cause: error, fields });
  }
  const known = fromErrno(error, `dial ${address}`, fields);
  const code = NOT_THERE.has(errnoOf(error) ?? '') ? 'unavailable' : known.code;
  return new AgentError(code, known === error ? `dial ${address}: ${known.message}` : known.message, { cause: error, fields });
}
