// Listening on a serial port: whenever the host hangs up, the port is opened afresh for the next one.
import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, hasCode } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Connection, Listener } from '../connection.ts';
import { formatEndpoint, type SerialEndpoint } from '../endpoint.ts';
import { checkPipeHandles } from '../pipe-handle.ts';
import { findPort, type OpenPort, openPort } from './port.ts';
import { ServerLink } from './server-link.ts';

/**
 * While nobody is connected at the host's end of a virtio-serial port, it reads as ended. It is looked at again soon after a client has left,
 * less often when none comes.
 */
const AGAIN_MS = 100;
const AGAIN_AT_LAST_MS = 500;
const AFTER_FAILURE_MS = 1_000;
/** A port's name comes to the kernel by a message of its own, some time after the device. */
const NAME_LOOKS = 20;
const NAME_LOOK_MS = 100;

/** @throws {AgentError} not_found, or by errno, when the port can't be opened now; later failures are logged and tried again */
export async function listenSerial(
  endpoint: SerialEndpoint,
  onConnection: (connection: Connection) => void,
  log: Logger,
): Promise<Listener> {
  checkPipeHandles();
  const device = await waitForPort(endpoint);
  let closed = false;
  let link: ServerLink | undefined;
  let timer: NodeJS.Timeout | undefined;
  let pauseMs = AGAIN_MS;
  const again = (ms: number) => {
    if (!closed) timer = setTimeout(() => void reopen(), ms);
  };
  let lost: bigint | undefined;
  const serve = ({ socket, window, probeMs }: OpenPort) => {
    link = new ServerLink(socket, {
      window,
      probeMs,
      peer: `serial:${endpoint.path}`,
      log,
      onConnection: (connection) => {
        pauseMs = AGAIN_MS;
        onConnection(connection);
      },
      ...(lost === undefined ? {} : { lost }),
      onClose: (session) => {
        lost = session;
        again(pauseMs);
        pauseMs = Math.min(2 * pauseMs, AGAIN_AT_LAST_MS);
      },
    });
  };
  const reopen = async () => {
    try {
      const port = await openPort(device);
      if (closed) port.socket.destroy();
      else serve(port);
    } catch (error) {
      log.warn('serial port lost', { address: formatEndpoint(endpoint), reason: describeError(error) });
      again(AFTER_FAILURE_MS);
    }
  };
  serve(await openPort(device));
  return {
    endpoint,
    async close() {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      link?.close();
    },
  };
}

async function waitForPort(endpoint: SerialEndpoint): Promise<string> {
  for (let looks = 1; ; looks++) {
    try {
      return await findPort(endpoint);
    } catch (error) {
      if (looks === NAME_LOOKS || !hasCode(error, 'not_found')) throw error;
      await sleep(NAME_LOOK_MS);
    }
  }
}
