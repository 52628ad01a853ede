// What has to be done so that a link becomes the interface a client describes. Pure: links in, commands out.
import { type Prefix, printPrefix } from './checked.ts';
import { command, type IpCommand } from './ip-command.ts';
import { type Link, linkNamed } from './link.ts';

export interface WantedInterface {
  /** Name it shall have; empty leaves it. */
  readonly name: string;
  /** Name it has, for a link that is told by no MAC address. */
  readonly device: string;
  /** In lower case; empty leaves it. */
  readonly hwAddr: string;
  /** In bytes; undefined leaves it. */
  readonly mtu: number | undefined;
  readonly noArp: boolean;
  readonly addresses: readonly Prefix[];
}

/**
 * By the MAC address; else by the name, and then it gets the MAC address: that is how a VM made from a template gives its
 * one NIC to a new pod. Of several with the same address (a VLAN and the link below it) the one with the name comes first.
 */
export function findInterface(links: readonly Link[], { name, device, hwAddr }: WantedInterface): Link | undefined {
  if (hwAddr === '') return linkNamed(links, name) ?? linkNamed(links, device);
  const same = links.filter((link) => link.hwAddr === hwAddr && !link.isLoopback);
  return linkNamed(same, name) ?? linkNamed(same, device) ?? same[0] ?? linkNamed(links, name);
}

/**
 * Addresses the link has already stay (kata-agent.md §3.11). The link goes down only for what the kernel refuses on one that
 * is up: its routes and IPv6 addresses go with it.
 */
export function planInterface(links: readonly Link[], link: Link, wanted: WantedInterface): IpCommand[] {
  const name = wanted.name === '' ? link.name : wanted.name;
  const hwAddr = wanted.hwAddr === '' ? link.hwAddr : wanted.hwAddr;
  const commands: IpCommand[] = [];
  if (link.isUp && (name !== link.name || hwAddr !== link.hwAddr)) commands.push(setState(link.name, 'down'));
  if (hwAddr !== link.hwAddr) commands.push(setHwAddr(link.name, hwAddr));
  if (name !== link.name) commands.push(...planRename(links, link, name));
  if (wanted.mtu !== undefined && wanted.mtu !== link.mtu) commands.push(setMtu(name, wanted.mtu));
  if (wanted.noArp !== link.noArp) commands.push(setArp(name, wanted.noArp));
  commands.push(...wanted.addresses.map((address) => replaceAddress(name, address)), setState(name, 'up'));
  return commands;
}

/** Whoever has the name gets this link's. */
function planRename(links: readonly Link[], link: Link, name: string): IpCommand[] {
  const other = linkNamed(links, name);
  if (other === undefined) return [rename(link.name, name)];
  const between = freeName(links);
  return [
    ...(other.isUp ? [setState(name, 'down')] : []),
    rename(name, between),
    rename(link.name, name),
    rename(between, link.name),
    ...(other.isUp ? [setState(link.name, 'up')] : []),
  ];
}

/** A name that no link has. */
export function freeName(links: readonly Link[], from = 0): string {
  for (let at = from; ; at++) if (linkNamed(links, `berth-tmp${at}`) === undefined) return `berth-tmp${at}`;
}

export function rename(from: string, to: string): IpCommand {
  return command(`name ${from} ${to}`, 'link', 'set', 'dev', from, 'name', to);
}

export function setState(name: string, state: 'up' | 'down'): IpCommand {
  return command(`set ${name} ${state}`, 'link', 'set', 'dev', name, state);
}

export function setHwAddr(name: string, hwAddr: string): IpCommand {
  return command(`MAC address ${hwAddr} on ${name}`, 'link', 'set', 'dev', name, 'address', hwAddr);
}

export function setMtu(name: string, mtu: number): IpCommand {
  return command(`MTU ${mtu} on ${name}`, 'link', 'set', 'dev', name, 'mtu', mtu);
}

export function setArp(name: string, noArp: boolean): IpCommand {
  const state = noArp ? 'off' : 'on';
  return command(`ARP ${state} on ${name}`, 'link', 'set', 'dev', name, 'arp', state);
}

/**
 * Without duplicate address detection for IPv6: the host's network plugin has done it, and for as long as it runs (1 to 2 s) the
 * kernel takes no route that names the address as its source.
 */
export function replaceAddress(name: string, address: Prefix): IpCommand {
  const shown = printPrefix(address);
  // A /31 or /32 has no broadcast address.
  const extra = address.family === 6 ? ['nodad'] : address.length <= 30 ? ['brd', '+'] : [];
  return command(`address ${shown} on ${name}`, 'address', 'replace', shown, ...extra, 'dev', name);
}

export function deleteAddress(name: string, address: Prefix): IpCommand {
  const shown = printPrefix(address);
  return command(`no address ${shown} on ${name}`, 'address', 'del', shown, 'dev', name);
}
