// The guest's network links with their addresses, as `ip -json address show` tells them.
import { AgentError } from '../../errors.ts';
import type { Prefix } from './checked.ts';
import { number, objects, parseIpJson, text, words } from './ip-json.ts';

export interface Link {
  readonly index: number;
  readonly name: string;
  /** In lower case; empty where the link has none. */
  readonly hwAddr: string;
  /** In bytes. */
  readonly mtu: number;
  readonly isUp: boolean;
  readonly isLoopback: boolean;
  /** IFF_NOARP (man 7 netdevice). */
  readonly noArp: boolean;
  readonly addresses: readonly Prefix[];
}

/** In the kernel's order. @throws internal */
export function parseLinks(output: string): Link[] {
  return parseIpJson(output)
    .filter((entry) => text(entry['ifname']) !== '')
    .map((entry) => {
      const flags = words(entry['flags']);
      return {
        index: number(entry['ifindex']),
        name: text(entry['ifname']),
        hwAddr: text(entry['address']).toLowerCase(),
        mtu: number(entry['mtu']),
        isUp: flags.includes('UP'),
        isLoopback: flags.includes('LOOPBACK'),
        noArp: flags.includes('NOARP'),
        addresses: objects(entry['addr_info']).map((address) => ({
          family: address['family'] === 'inet6' ? 6 : 4,
          address: text(address['local']),
          length: number(address['prefixlen']),
        })),
      };
    });
}

export function linkNamed(links: readonly Link[], name: string): Link | undefined {
  return links.find((link) => link.name === name);
}

/** Kata's Go runtime tries again on the words `Link not found`, and on no others (kata-agent.md §4.7). */
export function linkNotFound(by: 'Address' | 'Name', value: string): AgentError {
  return new AgentError('not_found', `Link not found (${by}: ${value})`, { fields: { link: value } });
}
