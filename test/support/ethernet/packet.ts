// Packets as a host on a small network reads and writes them: Ethernet II, ARP (RFC 826), IPv4 (RFC 791), IPv6 (RFC 8200),
// UDP (RFC 768), ICMP echo (RFC 792, RFC 4443) and neighbour discovery (RFC 4861). No options, no fragments.
import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';

export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
export const PROTOCOL = { icmp: 1, udp: 17, icmp6: 58 } as const;
export const ETHERNET_HEADER = 14;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const UDP_HEADER = 8;
const TTL = 255;

/** What an IP packet carries, whichever version it is. */
export interface IpPacket {
  source: Buffer;
  destination: Buffer;
  protocol: number;
  payload: Buffer;
}

export interface Datagram {
  sourcePort: number;
  destinationPort: number;
  data: Buffer;
}

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

/** 4 or 16 bytes in network order. */
export function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return Buffer.from([...front, ...zeros, ...back].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

export function ethernetFrame(destination: Buffer, source: Buffer, type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(ETHERNET_HEADER);
  destination.copy(header, 0);
  source.copy(header, 6);
  header.writeUInt16BE(type, 12);
  return Buffer.concat([header, payload]);
}

/** Undefined for a fragment. Throws when a header's checksum is wrong. */
export function parseIp(bytes: Buffer): IpPacket | undefined {
  if (bytes[0]! >> 4 === 6) {
    const payload = bytes.subarray(IPV6_HEADER, IPV6_HEADER + bytes.readUInt16BE(4));
    return { source: bytes.subarray(8, 24), destination: bytes.subarray(24, 40), protocol: bytes[6]!, payload };
  }
  const headerLength = (bytes[0]! & 0xf) * 4;
  assert.equal(checksum(bytes.subarray(0, headerLength)), 0, 'the checksum of an IPv4 header');
  if ((bytes.readUInt16BE(6) & 0x3fff) !== 0) return undefined;
  const payload = bytes.subarray(headerLength, bytes.readUInt16BE(2));
  return { source: bytes.subarray(12, 16), destination: bytes.subarray(16, 20), protocol: bytes[9]!, payload };
}

export function ipPacket({ source, destination, protocol, payload }: IpPacket): Buffer {
  if (source.length === 16) {
    const header = Buffer.alloc(IPV6_HEADER);
    header[0] = 0x60;
    header.writeUInt16BE(payload.length, 4);
    header[6] = protocol;
    header[7] = TTL;
    return Buffer.concat([header.fill(source, 8, 24).fill(destination, 24, 40), payload]);
  }
  const header = Buffer.alloc(IPV4_HEADER);
  header[0] = 0x45;
  header.writeUInt16BE(IPV4_HEADER + payload.length, 2);
  header[8] = TTL;
  header[9] = protocol;
  header.fill(source, 12, 16).fill(destination, 16, 20);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** Its sender may have left the checksum to hardware that is not there, so it is not looked at. */
export function parseUdp(bytes: Buffer): Datagram {
  return {
    sourcePort: bytes.readUInt16BE(0),
    destinationPort: bytes.readUInt16BE(2),
    data: bytes.subarray(UDP_HEADER, bytes.readUInt16BE(4)),
  };
}

export function udpPacket(source: Buffer, destination: Buffer, { sourcePort, destinationPort, data }: Datagram): Buffer {
  const payload = Buffer.alloc(UDP_HEADER + data.length);
  payload.writeUInt16BE(sourcePort, 0);
  payload.writeUInt16BE(destinationPort, 2);
  payload.writeUInt16BE(payload.length, 4);
  data.copy(payload, UDP_HEADER);
  return ipPacket(withChecksum({ source, destination, protocol: PROTOCOL.udp, payload }, 6));
}

/** `payload` with two zero bytes where the checksum goes; ICMPv6 and UDP cover the addresses too. */
export function icmpPacket(source: Buffer, destination: Buffer, payload: Buffer): Buffer {
  if (source.length === 16) return ipPacket(withChecksum({ source, destination, protocol: PROTOCOL.icmp6, payload }, 2));
  payload.writeUInt16BE(checksum(payload), 2);
  return ipPacket({ source, destination, protocol: PROTOCOL.icmp, payload });
}

/** With the pseudo-header of RFC 768 and RFC 8200 §8.1. */
function withChecksum(packet: IpPacket, at: number): IpPacket {
  const { source, destination, protocol, payload } = packet;
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(payload.length, 0);
  tail[7] = protocol;
  const sum = checksum(Buffer.concat([source, destination, tail, payload]));
  payload.writeUInt16BE(sum === 0 ? 0xffff : sum, at);
  return packet;
}

/** RFC 1071. */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += at + 1 < bytes.length ? bytes.readUInt16BE(at) : bytes[at]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
