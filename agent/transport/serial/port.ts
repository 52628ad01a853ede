// The guest's end of a serial port: found by its name, opened, made a socket.
import { constants, open as openFile, readdir, readFile } from 'node:fs';
import type net from 'node:net';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';
import { native } from '../../../native/index.ts';
import { AgentError, fromErrno } from '../../errors.ts';
import type { SerialEndpoint } from '../endpoint.ts';
import { socketFromFd } from '../pipe-handle.ts';
import { DEFAULT_PORT } from './port-name.ts';

const LAST_RESORT = 'ttyS1';
/** A UART moves 11 KB/s at 115 200 baud: more under way would hold up the signs of life. */
const UART_WINDOW = 32 << 10;
const PORT_WINDOW = 256 << 10;
/** /sys/class/tty/X/type of a UART that is not there (Linux, PORT_UNKNOWN). */
const NO_UART = '0';

/**
 * What a client may take to show that it lives when another one asks for the line. Behind a virtio-serial port the VMM lets one in at a time,
 * so who asks is almost always the only one there.
 */
const UART_PROBE_MS = 2_000;
const PORT_PROBE_MS = 250;

export interface OpenPort {
  /** Nothing has been read from it. */
  readonly socket: net.Socket;
  /** Bytes that may be under way each way. */
  readonly window: number;
  readonly probeMs: number;
}

/** @param sysDir of the kernel; another one is for tests */
export async function findPort({ path }: SerialEndpoint, sysDir = '/sys'): Promise<string> {
  if (path.startsWith('/')) return path;
  const ports = await virtioPorts(sysDir);
  const device = ports.get(path);
  if (device !== undefined) return `/dev/${device}`;
  const there = ports.size === 0 ? 'there is none' : `there are ${[...ports.keys()].join(', ')}`;
  throw new AgentError('not_found', `no virtio-serial port has the name ${path}: ${there}`, { fields: { port: path } });
}

/** @throws {AgentError} by errno; EBUSY (somebody has the port open) is `unavailable` */
export async function openPort(device: string): Promise<OpenPort> {
  // node:fs closes on exec whatever it opens.
  const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
  let fd: number;
  try {
    fd = await promisify(openFile)(device, flags);
  } catch (error) {
    throw fromErrno(error, `open the serial port ${device}`, { device });
  }
  const uart = isatty(fd);
  try {
    if (uart) native().makeRaw(fd);
  } catch (error) {
    native().close(fd);
    throw fromErrno(error, `make ${device} raw`, { device });
  }
  const kind = uart ? { window: UART_WINDOW, probeMs: UART_PROBE_MS } : { window: PORT_WINDOW, probeMs: PORT_PROBE_MS };
  return { socket: socketFromFd(fd), ...kind };
}

/**
 * The port to take in the place of vsock: the one with the default name, else, where none is configured, the second UART if the console is
 * not there.
 * @param configured the port that is listened on in any case
 */
export async function portWithoutVsock(configured?: string, sysDir = '/sys'): Promise<SerialEndpoint | undefined> {
  if (configured === DEFAULT_PORT) return undefined;
  if ((await virtioPorts(sysDir)).has(DEFAULT_PORT)) return { kind: 'serial', path: DEFAULT_PORT };
  if (configured !== undefined) return undefined;
  const tty = join(sysDir, 'class/tty');
  const type = await readText(join(tty, LAST_RESORT, 'type'));
  const consoles = (await readText(join(tty, 'console/active'))).split(' ');
  if (type === '' || type === NO_UART || consoles.includes(LAST_RESORT)) return undefined;
  return { kind: 'serial', path: `/dev/${LAST_RESORT}` };
}

/** Devices by the names the VMM gave them; the links of /dev/virtio-ports are udev's, which a guest need not have. */
async function virtioPorts(sysDir: string): Promise<Map<string, string>> {
  const folder = join(sysDir, 'class/virtio-ports');
  const devices = await promisify(readdir)(folder).catch(() => []);
  const named = await Promise.all(devices.map(async (device) => [await readText(join(folder, device, 'name')), device] as const));
  return new Map(named.filter(([name]) => name !== ''));
}

async function readText(path: string): Promise<string> {
  return (await promisify(readFile)(path, 'utf8').catch(() => '')).trim();
}
