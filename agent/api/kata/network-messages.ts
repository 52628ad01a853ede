// Kata's network messages to the guest's values, every field checked, and back.
import { types } from '#proto/kata.js';
import {
  checkCount,
  checkIpAddress,
  checkLinkName,
  checkMacAddress,
  checkPrefix,
  checkPrefixLength,
  type Family,
  hostPrefix,
  type Prefix,
  printPrefix,
  refuse,
} from '../../guest/network/checked.ts';
import type { WantedInterface } from '../../guest/network/interface.ts';
import type { Link } from '../../guest/network/link.ts';
import type { Neighbour } from '../../guest/network/neighbour.ts';
import type { Route } from '../../guest/network/route.ts';

/** Of one interface. */
const MAX_ADDRESSES = 256;
const MAX_ROUTES = 4096;
const MAX_NEIGHBOURS = 4096;
const MAX_MTU = 0xffff_ffffn;
const MAX_SCOPE = 0xff;
const MAX_STATE = 0xffff;
/** man 7 netdevice */
const IFF_NOARP = 0x80;
/** What the default route is called: by Kata's agent, and beside that by itself. */
const DEFAULT = { 4: '0.0.0.0', 6: '::' } as const;

/** @throws invalid_argument, resource_exhausted */
export function toWantedInterface(asked: types.Interface.$Properties): WantedInterface {
  const { name, device, hwAddr, mtu, IPAddresses, rawFlags } = asked;
  const addresses = IPAddresses ?? [];
  if (!name && !device && !hwAddr) refuse('interface.hwAddr', 'is empty, and there is no name either');
  checkCount(addresses.length, MAX_ADDRESSES, 'interface.IPAddresses');
  if ((mtu ?? 0n) > MAX_MTU) refuse('interface.mtu', `${mtu} is more than ${MAX_MTU}`);
  return {
    name: name ? checkLinkName(name, 'interface.name') : '',
    device: device ?? '',
    hwAddr: hwAddr ? checkMacAddress(hwAddr, 'interface.hwAddr') : '',
    mtu: mtu ? Number(mtu) : undefined,
    noArp: ((rawFlags ?? 0) & IFF_NOARP) !== 0,
    addresses: addresses.map((address, index) => toAddress(address, `interface.IPAddresses[${index}]`)),
  };
}

/** The family is the text's own: proto3 can't tell v4 from a family that was left out. */
function toAddress(message: types.IPAddress.$Properties, field: string): Prefix {
  const { family, address } = checkIpAddress(message.address ?? '', `${field}.address`);
  if (family === 4 && message.family === types.IPFamily.v6)
    refuse(`${field}.address`, 'is an IPv4 address, and the family is v6');
  return { family, address, length: checkPrefixLength(message.mask ?? '', family, `${field}.mask`) };
}

/** @throws invalid_argument, resource_exhausted */
export function toRoutes(asked: readonly types.Route.$Properties[]): Route[] {
  checkCount(asked.length, MAX_ROUTES, 'routes.Routes');
  return asked.map((route, index) => toRoute(route, `routes.Routes[${index}]`));
}

function toRoute(asked: types.Route.$Properties, field: string): Route {
  const { dest, gateway, device, source, scope, flags, mtu } = asked;
  const isV6 = asked.family === types.IPFamily.v6 || [dest, gateway, source].some((text) => text?.includes(':'));
  const family = isV6 ? 6 : 4;
  if ((scope ?? 0) > MAX_SCOPE) refuse(`${field}.scope`, `${scope} is more than ${MAX_SCOPE}`);
  return {
    family,
    destination: dest ? toDestination(dest, family, `${field}.dest`) : undefined,
    gateway: gateway ? ofFamily(checkIpAddress(gateway, `${field}.gateway`), family, `${field}.gateway`) : undefined,
    device: checkLinkName(device ?? '', `${field}.device`),
    ...toSource(source ?? '', family, `${field}.source`),
    scope: scope ?? 0,
    flags: flags ?? 0,
    mtu: mtu ?? 0,
  };
}

/** Undefined is the default route: `0.0.0.0/0`, and `0.0.0.0` alone since that is how it is listed. */
function toDestination(text: string, family: Family, field: string): Prefix | undefined {
  const prefix = ofFamily(checkPrefix(text, field), family, field);
  if (prefix.length === 0 || text === DEFAULT[family]) return undefined;
  return prefix.length === undefined ? hostPrefix(prefix) : { ...prefix, length: prefix.length };
}

/**
 * A bare address is the one to send from, and so is one of length 0, as routes are listed. Kata's agent takes a bare one for
 * a prefix, which the kernel ignores for IPv4 and refuses for IPv6; its hosts mean the address.
 */
function toSource(text: string, family: Family, field: string): Pick<Route, 'preferredSource' | 'sourcePrefix'> {
  if (text === '') return { preferredSource: undefined, sourcePrefix: undefined };
  const { address, length } = ofFamily(checkPrefix(text, field), family, field);
  if (length === undefined || length === 0 || (family === 4 && length === 32)) {
    return { preferredSource: address, sourcePrefix: undefined };
  }
  if (family === 4) refuse(field, 'IPv4 has no routes by source prefix');
  return { preferredSource: undefined, sourcePrefix: { family, address, length } };
}

function ofFamily<T extends { readonly family: Family }>(found: T, family: Family, field: string): T {
  return found.family === family ? found : refuse(field, `is an IPv${found.family} address in an IPv${family} route`);
}

/** @throws invalid_argument, resource_exhausted */
export function toNeighbours(asked: readonly types.ARPNeighbor.$Properties[]): Neighbour[] {
  checkCount(asked.length, MAX_NEIGHBOURS, 'neighbors.ARPNeighbors');
  return asked.map(({ toIPAddress, device, lladdr, state, flags }, index) => {
    const field = `neighbors.ARPNeighbors[${index}]`;
    if ((state ?? 0) < 0 || (state ?? 0) > MAX_STATE) refuse(`${field}.state`, `${state} is not within 0 to ${MAX_STATE}`);
    return {
      to: checkIpAddress(toIPAddress?.address ?? '', `${field}.toIPAddress.address`),
      device: checkLinkName(device ?? '', `${field}.device`),
      hwAddr: lladdr ? checkMacAddress(lladdr, `${field}.lladdr`) : '',
      state: state ?? 0,
      flags: flags ?? 0,
    };
  });
}

export function fromLink({ name, hwAddr, mtu, addresses }: Link): types.Interface.$Properties {
  return {
    device: name,
    name,
    hwAddr,
    mtu: BigInt(mtu),
    IPAddresses: addresses.map(({ family, address, length }) => ({ family: toFamily(family), address, mask: String(length) })),
  };
}

/** As Kata's agent lists them, but with the true destination also of routes by a gateway, and with the family. */
export function fromRoute(route: Route): types.Route.$Properties {
  const { family, destination, gateway, device, preferredSource, sourcePrefix, scope, flags, mtu } = route;
  return {
    family: toFamily(family),
    dest: destination === undefined ? DEFAULT[family] : printPrefix(destination),
    gateway: gateway?.address ?? '',
    device,
    source: sourcePrefix !== undefined ? printPrefix(sourcePrefix) : preferredSource === undefined ? '' : `${preferredSource}/0`,
    scope,
    flags,
    mtu,
  };
}

function toFamily(family: Family): types.IPFamily {
  return family === 4 ? types.IPFamily.v4 : types.IPFamily.v6;
}
