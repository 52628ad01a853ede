// Addresses of listeners and peers: `vsock://cid:port`, `hvsock://path:port`, `unix:///path`, `unix://@abstract`,
// `serial://name` and `serial:///path`.
// Pure; nothing is opened here.
import { AgentError } from '../errors.ts';

/** An AF_VSOCK address (man 7 vsock). */
export interface VsockEndpoint {
  readonly kind: 'vsock';
  readonly cid: number;
  readonly port: number;
}

/** A Unix socket; `path` starts with a NUL where it is abstract (man 7 unix). */
export interface UnixEndpoint {
  readonly kind: 'unix';
  readonly path: string;
}

/** A guest's vsock behind a VMM's Unix socket, reached with `CONNECT port` (Firecracker, Cloud Hypervisor, vhost-device-vsock). */
export interface HybridEndpoint {
  readonly kind: 'hvsock';
  readonly path: string;
  readonly port: number;
}

/**
 * A serial line. To an agent: the name of a virtio-serial port, or the path of a device such as /dev/ttyS1. To a client: the path of the
 * Unix socket that the hypervisor has for the port.
 */
export interface SerialEndpoint {
  readonly kind: 'serial';
  readonly path: string;
}

/** What an agent can listen on. */
export type ListenEndpoint = VsockEndpoint | UnixEndpoint | SerialEndpoint;
/** What a client can dial. */
export type Endpoint = ListenEndpoint | HybridEndpoint;

const U32_MAX = 0xffffffff;
/** sizeof sun_path, the NUL included (man 7 unix). */
const SUN_PATH_BYTES = 108;
const PORT_NAME = /^(?!\.\.?$)[\w.-]{1,64}$/;

/**
 * Reads an address. A CID of -1 is VMADDR_CID_ANY.
 * @throws {AgentError} invalid_argument; the text names the part that is wrong
 */
export function parseEndpoint(text: string): Endpoint {
  // A serial port is often written without the slashes, as in `serial:/dev/ttyS1`.
  const split = /^([a-z]+):\/\/(.*)$/s.exec(text) ?? /^(serial):(.*)$/s.exec(text);
  const scheme = split?.[1];
  const rest = split?.[2] ?? '';
  switch (scheme) {
    case 'vsock':
      return parseVsock(text, rest);
    case 'hvsock':
      return parseHybrid(text, rest);
    case 'unix':
      return { kind: 'unix', path: parsePath(text, rest) };
    case 'serial':
      return { kind: 'serial', path: parsePort(text, rest) };
    case undefined:
      throw bad(text, 'scheme', 'expected vsock://cid:port, hvsock://path:port, unix://path or serial://path');
    default:
      throw bad(text, 'scheme', `"${scheme}" is not one of vsock, hvsock, unix, serial`);
  }
}

/** As {@link parseEndpoint}, for an address to listen on. */
export function parseListenEndpoint(text: string): ListenEndpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint.kind === 'hvsock') throw bad(text, 'scheme', 'hvsock is for clients; an agent listens on vsock, unix or serial');
  return endpoint;
}

/** The text {@link parseEndpoint} would read. */
export function formatEndpoint(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case 'vsock':
      return `vsock://${endpoint.cid === U32_MAX ? -1 : endpoint.cid}:${endpoint.port}`;
    case 'hvsock':
      return `hvsock://${formatPath(endpoint.path)}:${endpoint.port}`;
    case 'unix':
      return `unix://${formatPath(endpoint.path)}`;
    case 'serial':
      return `serial://${formatPath(endpoint.path)}`;
  }
}

function parseVsock(text: string, rest: string): VsockEndpoint {
  const split = /^([^:]*):([^:]*)$/.exec(rest);
  if (!split) throw bad(text, 'address', 'expected vsock://cid:port');
  const cid = split[1] === '-1' ? U32_MAX : parseU32(text, 'cid', split[1]!);
  return { kind: 'vsock', cid, port: parseU32(text, 'port', split[2]!) };
}

function parseHybrid(text: string, rest: string): HybridEndpoint {
  const colon = rest.lastIndexOf(':');
  if (colon < 0) throw bad(text, 'port', 'missing; expected hvsock://path:port');
  return { kind: 'hvsock', path: parsePath(text, rest.slice(0, colon)), port: parseU32(text, 'port', rest.slice(colon + 1)) };
}

function parseU32(text: string, part: string, digits: string): number {
  const value = Number(digits);
  if (!/^\d{1,10}$/.test(digits) || value > U32_MAX) throw bad(text, part, `"${digits}" is not a number from 0 to ${U32_MAX}`);
  return value;
}

function parsePath(text: string, path: string): string {
  const abstract = path.startsWith('@');
  if (!abstract && !path.startsWith('/')) throw bad(text, 'path', `"${path}" is neither absolute nor "@" and a name`);
  if (abstract && path.length === 1) throw bad(text, 'path', 'an abstract socket needs a name after "@"');
  if (path.includes('\0')) throw bad(text, 'path', 'it contains a NUL');
  if (Buffer.byteLength(path) >= SUN_PATH_BYTES) throw bad(text, 'path', `it is longer than ${SUN_PATH_BYTES - 1} bytes`);
  return abstract ? `\0${path.slice(1)}` : path;
}

function parsePort(text: string, rest: string): string {
  if (/^[/@]/.test(rest)) return parsePath(text, rest);
  if (PORT_NAME.test(rest)) return rest;
  throw bad(text, 'port', `"${rest}" is neither an absolute path nor a port's name (1 to 64 of A-Z a-z 0-9 . _ -)`);
}

function formatPath(path: string): string {
  return path.startsWith('\0') ? `@${path.slice(1)}` : path;
}

function bad(address: string, part: string, reason: string): AgentError {
  return new AgentError('invalid_argument', `address "${address}": ${part}: ${reason}`, { fields: { address, part } });
}
