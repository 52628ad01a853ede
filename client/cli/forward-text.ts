// How a user writes what `berth port-forward` is to do: `[LISTEN:]TARGET`, as ssh -L and kubectl have it. Pure.
import { isIP } from 'node:net';
import { AgentError } from '../../agent/errors.ts';
import type { ForwardOptions } from '../api/forward.ts';
import type { TunnelTarget } from '../api/tunnel.ts';

export type ForwardPlan = Pick<ForwardOptions, 'listen' | 'to'>;

/** A whole number in brackets, or up to the next colon; abstract names and paths have none. */
const PART = /^(?:\[([^\]]*)\]|([^:]*))(?::|$)/;

/** Whether an argument is one of these and not a container's id, which has neither ':' nor '/' nor is a number alone. */
export function isForward(text: string): boolean {
  return /[:/@]/.test(text) || /^\d+$/.test(text);
}

/**
 * `8080:80`, `127.0.0.1:8080:80`, `8080:10.0.0.2:80`, `8080:/run/app.sock`, `/tmp/app.sock:80`, `80` (the same port here), `:80` (any free port).
 * @throws AgentError invalid_argument
 */
export function parseForward(text: string): ForwardPlan {
  const parts = split(text);
  const target = parts.pop() ?? '';
  const onSocket = /^[/@]/.test(target);
  // `HOST_IP:HOST_PORT:PORT` begins with an address, `HOST_PORT:GUEST_IP:PORT` has one in the middle.
  const guestIp = !onSocket && parts.length >= 2 && isIP(parts.at(-1)!) !== 0 ? parts.pop() : undefined;
  const to: TunnelTarget = onSocket
    ? { unix: target }
    : { port: portOf(target, text, 1), ...(guestIp === undefined ? {} : { host: guestIp }) };
  if (parts.length === 0) {
    if ('unix' in to) throw bad(text, 'give a port of this machine, PORT:PATH');
    return { listen: to.port, to };
  }
  const place = parts.pop()!;
  if (place.startsWith('/')) {
    if (parts.length > 0) throw bad(text, 'too many parts');
    return { listen: { unix: place }, to };
  }
  const port = place === '' ? 0 : portOf(place, text, 0);
  const host = parts.pop();
  if (parts.length > 0) throw bad(text, 'too many parts');
  if (host === undefined) return { listen: port, to };
  if (isIP(host) === 0) throw bad(text, `'${host}' is no IP address`);
  return { listen: { port, host }, to };
}

/** The text of what is listened on. */
export function placeText({ listen }: ForwardPlan, port: number): string {
  if (typeof listen === 'object' && 'unix' in listen) return listen.unix;
  const host = typeof listen === 'object' ? (listen.host ?? '127.0.0.1') : '127.0.0.1';
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

export function targetText({ to }: ForwardPlan): string {
  if ('unix' in to) return to.unix;
  if (to.host === undefined) return `port ${to.port}`;
  return isIP(to.host) === 6 ? `[${to.host}]:${to.port}` : `${to.host}:${to.port}`;
}

function split(text: string): string[] {
  const parts: string[] = [];
  let rest = text;
  for (let more = true; more; ) {
    const [whole = '', bracketed, plain] = PART.exec(rest) ?? [];
    if (whole === '' && rest !== '') throw bad(text, 'a bracket too many or too few');
    parts.push(bracketed ?? plain ?? '');
    more = whole.endsWith(':');
    rest = rest.slice(whole.length);
  }
  return parts;
}

function portOf(digits: string, text: string, least: number): number {
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : Number.NaN;
  if (port >= least && port <= 0xffff) return port;
  throw bad(text, `'${digits}' is no port`);
}

function bad(text: string, reason: string): AgentError {
  return new AgentError(
    'invalid_argument',
    `invalid forward '${text}': ${reason}; give [[HOST_IP:]HOST_PORT:]PORT or HOST_PORT:PATH`,
    {
      fields: { field: 'forward' },
    },
  );
}
