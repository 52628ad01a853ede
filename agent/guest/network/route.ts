// Routes of the main table: `ip -json route show` in, commands out. Pure.
import type { IpAddress, Prefix } from './checked.ts';
import { type Family, printPrefix } from './checked.ts';
import { command, type IpCommand } from './ip-command.ts';
import { type JsonObject, number, object, objects, parseIpJson, text, words } from './ip-json.ts';

export interface Route {
  readonly family: Family;
  /** Undefined is the default route. */
  readonly destination: Prefix | undefined;
  readonly gateway: IpAddress | undefined;
  readonly device: string;
  /** Address that packets of the guest's own get. */
  readonly preferredSource: string | undefined;
  /** Packets it is for (IPv6 only, man 8 ip-route `from`). */
  readonly sourcePrefix: Prefix | undefined;
  /** RT_SCOPE_ of linux/rtnetlink.h, 0 to 255; the kernel knows none for IPv6. */
  readonly scope: number;
  /** RTNH_F_ of linux/rtnetlink.h */
  readonly flags: number;
  /** In bytes; 0 is none. */
  readonly mtu: number;
}

/** RTN_UNICAST of linux/rtnetlink.h; without `-details` it goes unsaid. */
const UNICAST = 1;
const RTNH_F_ONLINK = 4;
const FLAGS: Readonly<Record<string, number>> = {
  dead: 1,
  pervasive: 2,
  onlink: RTNH_F_ONLINK,
  offload: 8,
  linkdown: 16,
  unresolved: 32,
  trap: 64,
};
const ANY = { 4: '0.0.0.0/0', 6: '::/0' } as const;

/** Arguments that show the routes of a family as {@link parseRoutes} reads them. */
export function showRoutes(family: Family): string[] {
  return ['-json', '-details', '-Numeric', `-${family}`, 'route', 'show', 'table', 'main'];
}

/** Each next hop of a multipath route is a route here; routes that lead nowhere (blackhole, unreachable) are none. */
export function parseRoutes(output: string, family: Family): Route[] {
  return parseIpJson(output)
    .filter((entry) => number(entry['type'] ?? UNICAST) === UNICAST)
    .flatMap((entry) => {
      const hops = objects(entry['nexthops']);
      return hops.length === 0 ? [toRoute(entry, entry, family)] : hops.map((hop) => toRoute(entry, hop, family));
    });
}

function toRoute(entry: JsonObject, hop: JsonObject, family: Family): Route {
  const destination = text(entry['dst']);
  const from = text(entry['from']);
  const flags = new Set([...words(entry['flags']), ...words(hop['flags'])]);
  return {
    family,
    destination: destination === 'default' ? undefined : toPrefix(destination, family),
    gateway: toGateway(hop, family),
    device: text(hop['dev']),
    preferredSource: text(entry['prefsrc']) || undefined,
    sourcePrefix: from === '' ? undefined : toPrefix(from, family),
    scope: number(entry['scope']),
    flags: [...flags].reduce((sum, flag) => sum | (FLAGS[flag] ?? 0), 0),
    mtu: objects(entry['metrics']).reduce((found, metric) => number(metric['mtu']) || found, 0),
  };
}

/** An IPv4 route may go by an IPv6 gateway (RFC 5549), which `ip` tells under another name. */
function toGateway(hop: JsonObject, family: Family): IpAddress | undefined {
  const via = object(hop['via']);
  if (text(via['host']) !== '') return { family: via['family'] === 'inet6' ? 6 : 4, address: text(via['host']) };
  return text(hop['gateway']) === '' ? undefined : { family, address: text(hop['gateway']) };
}

/** `ip` leaves out the length of a whole address. */
function toPrefix(shown: string, family: Family): Prefix {
  const [address = '', length] = shown.split('/');
  return { family, address, length: length === undefined ? (family === 4 ? 32 : 128) : Number(length) };
}

/** Those without a gateway first: they make the gateways of the others reachable. Else in the order given. */
export function inOrder<T extends { readonly gateway: unknown }>(routes: readonly T[]): T[] {
  return [...routes.filter((route) => route.gateway === undefined), ...routes.filter((route) => route.gateway !== undefined)];
}

/** Only `onlink` is for a client to ask; the kernel sets the other flags itself. */
export function replaceRoute(route: Route): IpCommand {
  const { family, destination, gateway, device, preferredSource, sourcePrefix, scope, flags, mtu } = route;
  const to = destination === undefined ? ANY[family] : printPrefix(destination);
  return command(
    `route ${to} on ${device}`,
    ...['route', 'replace', 'unicast', to],
    ...(sourcePrefix === undefined ? [] : ['from', printPrefix(sourcePrefix)]),
    ...(gateway === undefined ? [] : ['via', ...(gateway.family === family ? [] : ['inet6']), gateway.address]),
    ...['dev', device, 'table', 'main', 'proto', 'boot'],
    ...(preferredSource === undefined ? [] : ['src', preferredSource]),
    ...(family === 4 ? ['scope', scope] : []),
    ...(mtu === 0 ? [] : ['mtu', mtu]),
    ...((flags & RTNH_F_ONLINK) === 0 ? [] : ['onlink']),
  );
}
