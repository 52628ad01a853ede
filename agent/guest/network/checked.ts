// What a client's text must look like before it becomes a word of an `ip` command: addresses, prefixes, MAC addresses and
// link names. Every refusal names the field.
import { isIPv4, isIPv6 } from 'node:net';
import { AgentError } from '../../errors.ts';

export type Family = 4 | 6;

export interface IpAddress {
  readonly family: Family;
  readonly address: string;
}

/** An address with the length of its prefix in bits. */
export interface Prefix extends IpAddress {
  readonly length: number;
}

const BITS = { 4: 32, 6: 128 } as const;
/** IFNAMSIZ of linux/if.h, its NUL included. */
const NAME_BYTES = 16;
/** MAX_ADDR_LEN of linux/netdevice.h, in octets; Ethernet has 6, InfiniBand 20. */
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5,31}$/i;
const MAX_QUOTED = 80;

/** @throws invalid_argument, always */
export function refuse(field: string, problem: string): never {
  throw new AgentError('invalid_argument', `${field}: ${problem}`, { fields: { field } });
}

/** Without a prefix and without a zone (`%eth0`): the link is named elsewhere. @throws invalid_argument */
export function checkIpAddress(text: string, field: string): IpAddress {
  if (isIPv4(text)) return { family: 4, address: text };
  if (isIPv6(text) && !text.includes('%')) return { family: 6, address: text };
  return refuse(field, text === '' ? 'is empty' : `${quote(text)} is no IP address`);
}

/** Decimal digits. @throws invalid_argument */
export function checkPrefixLength(text: string, family: Family, field: string): number {
  const length = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (length <= BITS[family]) return length;
  return refuse(field, `${quote(text)} is no prefix length of IPv${family} (0 to ${BITS[family]})`);
}

/** `address` or `address/length`; the length of a bare address is undefined. @throws invalid_argument */
export function checkPrefix(text: string, field: string): IpAddress & { readonly length: number | undefined } {
  const slash = text.indexOf('/');
  const address = checkIpAddress(slash < 0 ? text : text.slice(0, slash), field);
  return { ...address, length: slash < 0 ? undefined : checkPrefixLength(text.slice(slash + 1), address.family, field) };
}

/** All of the address. */
export function hostPrefix({ family, address }: IpAddress): Prefix {
  return { family, address, length: BITS[family] };
}

/** In lower case, as the kernel prints it. @throws invalid_argument */
export function checkMacAddress(text: string, field: string): string {
  return MAC.test(text) ? text.toLowerCase() : refuse(field, `${quote(text)} is no MAC address`);
}

/**
 * A name the kernel takes (dev_valid_name of net/core/dev.c) and the batch language of `ip` can say: that one has no way to
 * write `#`, and quotes and backslashes mean something in it. The kernel reads `%` as a pattern to number.
 * @throws invalid_argument
 */
export function checkLinkName(text: string, field: string): string {
  if (text === '') refuse(field, 'is empty');
  if (Buffer.byteLength(text) >= NAME_BYTES) refuse(field, `${quote(text)} is longer than ${NAME_BYTES - 1} bytes`);
  if (text === '.' || text === '..' || /[\s\x00-\x1f\x7f/:#"'\\%]/.test(text)) refuse(field, `${quote(text)} is no link name`);
  return text;
}

/** @throws resource_exhausted */
export function checkCount(count: number, most: number, field: string): void {
  if (count <= most) return;
  throw new AgentError('resource_exhausted', `${field}: ${count} entries; at most ${most}`, { fields: { field, limit: most } });
}

export function printPrefix({ address, length }: Prefix): string {
  return `${address}/${length}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text);
}
