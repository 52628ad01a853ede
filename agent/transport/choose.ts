// Where the agent listens: what was configured, or the serial port where that is vsock and the guest has none.
import { native, VMADDR_CID_ANY } from '../../native/index.ts';
import type { Config } from '../config/settings.ts';
import { AgentError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { formatEndpoint, type ListenEndpoint, parseListenEndpoint, type SerialEndpoint } from './endpoint.ts';

/** @throws {AgentError} invalid_argument for an address that is none */
export async function chooseEndpoints(
  { serverAddr, serialAddr }: Pick<Config, 'serverAddr' | 'serialAddr'>,
  log: Logger,
): Promise<ListenEndpoint[]> {
  const main = parseListenEndpoint(serverAddr);
  const serial = serialAddr === '' ? undefined : parseSerial(serialAddr);
  if (main.kind !== 'vsock' || hasVsockDevice()) return serial === undefined ? [main] : [main, serial];
  const { portWithoutVsock } = await import('./serial/port.ts');
  const instead = await portWithoutVsock(serial?.path);
  const found = [instead, serial].filter((endpoint) => endpoint !== undefined);
  if (found.length === 0) return [main];
  log.info('no vsock device: listening on the serial port instead', { address: found.map(formatEndpoint).join(', ') });
  return found;
}

function parseSerial(text: string): SerialEndpoint {
  const endpoint = parseListenEndpoint(text);
  if (endpoint.kind === 'serial') return endpoint;
  throw new AgentError(
    'invalid_argument',
    `berth.serial_addr: ${text} is no serial port: expected serial://NAME or serial:///dev/...`,
    {
      fields: { field: 'berth.serial_addr' },
    },
  );
}

/** A guest whose kernel knows vsock but was given no device has no CID of its own (man 7 vsock). */
function hasVsockDevice(): boolean {
  try {
    const cid = native().vsockLocalCid();
    return cid !== VMADDR_CID_ANY && cid !== VMADDR_CID_LOCAL;
  } catch {
    return false;
  }
}

/** man 7 vsock: loopback, which reaches nobody outside. */
const VMADDR_CID_LOCAL = 1;
