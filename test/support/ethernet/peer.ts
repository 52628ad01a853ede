// The other end of a guest's network card: a host with one address of each family that answers neighbour queries, pings and
// datagrams, and sends pings and datagrams of its own. It listens at the Unix socket that the launcher's Nic names.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import {
  addressBytes,
  ETHERNET_HEADER,
  ETHERTYPE,
  ethernetFrame,
  type IpPacket,
  icmpPacket,
  macBytes,
  PROTOCOL,
  parseIp,
  parseUdp,
  udpPacket,
} from './packet.ts';

export interface PeerOptions {
  socket: string;
  /** Ours, and the guest's card. */
  mac: string;
  guestMac: string;
  ipv4: string;
  ipv6: string;
}

/** On this port we send back what we get. */
export const ECHO_PORT = 7;
const OWN_PORT = 40_000;
const ECHO_REQUEST = { 4: 8, 16: 128 } as const;
const ECHO_REPLY = { 4: 0, 16: 129 } as const;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
/** Solicited, override (RFC 4861 §4.4). */
const ADVERTISEMENT_FLAGS = 0x60;
const ANSWER_MS = 10_000;

export class EthernetPeer implements AsyncDisposable {
  /** Neighbour queries for our addresses so far: none comes for one that the guest was told. */
  readonly queries = { arp: 0, nd: 0 };
  readonly #options: PeerOptions;
  readonly #server: Server;
  readonly #mac: Buffer;
  readonly #waiting = new Map<string, (data: Buffer) => void>();
  #card: Socket | undefined;
  #held = Buffer.alloc(0);
  #sequence = 0;

  private constructor(options: PeerOptions, server: Server) {
    this.#options = options;
    this.#server = server;
    this.#mac = macBytes(options.mac);
    server.on('connection', (socket) => {
      this.#card = socket;
      socket.on('data', (chunk) => this.#received(chunk));
      socket.on('error', () => socket.destroy());
    });
  }

  static async listen(options: PeerOptions): Promise<EthernetPeer> {
    const server = createServer();
    const peer = new EthernetPeer(options, server);
    server.listen(options.socket);
    await once(server, 'listening');
    return peer;
  }

  /** Resolves when the answer with the same data has come. */
  async ping(address: string): Promise<void> {
    const destination = addressBytes(address);
    const sequence = ++this.#sequence;
    const message = Buffer.alloc(64);
    message[0] = ECHO_REQUEST[destination.length as 4 | 16];
    message.writeUInt16BE(sequence, 6);
    const answered = this.#answer(`ping ${sequence}`);
    this.#sendIp(icmpPacket(this.#own(destination), destination, message));
    await answered;
  }

  /** Sends a datagram to the guest and resolves with the one that comes back. */
  async ask(address: string, port: number, data: Buffer): Promise<Buffer> {
    const destination = addressBytes(address);
    const sourcePort = OWN_PORT + ++this.#sequence;
    const answered = this.#answer(`udp ${sourcePort}`);
    this.#sendIp(udpPacket(this.#own(destination), destination, { sourcePort, destinationPort: port, data }));
    return await answered;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#card?.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #answer(key: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(key);
        reject(new Error(`${key}: no answer within ${ANSWER_MS} ms`));
      }, ANSWER_MS);
      this.#waiting.set(key, (data) => {
        clearTimeout(timer);
        this.#waiting.delete(key);
        resolve(data);
      });
    });
  }

  #received(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= 4 && this.#held.length >= 4 + this.#held.readUInt32BE(0)) {
      const end = 4 + this.#held.readUInt32BE(0);
      this.#onFrame(this.#held.subarray(4, end));
      this.#held = this.#held.subarray(end);
    }
  }

  #onFrame(frame: Buffer): void {
    const type = frame.readUInt16BE(12);
    const payload = frame.subarray(ETHERNET_HEADER);
    if (type === ETHERTYPE.arp) this.#onArp(payload);
    if (type !== ETHERTYPE.ipv4 && type !== ETHERTYPE.ipv6) return;
    const packet = parseIp(payload);
    if (packet === undefined) return;
    if (packet.protocol === PROTOCOL.icmp6 && packet.payload[0] === NEIGHBOUR_SOLICITATION) this.#onSolicitation(packet);
    else if (packet.destination.equals(this.#own(packet.destination))) this.#onPacket(packet);
  }

  #onPacket({ source, destination, protocol, payload }: IpPacket): void {
    if (protocol === PROTOCOL.udp) {
      const { sourcePort, destinationPort, data } = parseUdp(payload);
      this.#waiting.get(`udp ${destinationPort}`)?.(Buffer.from(data));
      if (destinationPort !== ECHO_PORT) return;
      const answer = { sourcePort: destinationPort, destinationPort: sourcePort, data: Buffer.from(data) };
      this.#sendIp(udpPacket(destination, source, answer));
    } else if (payload[0] === ECHO_REPLY[source.length as 4 | 16]) {
      this.#waiting.get(`ping ${payload.readUInt16BE(6)}`)?.(Buffer.from(payload));
    } else if (payload[0] === ECHO_REQUEST[source.length as 4 | 16]) {
      const answer = Buffer.from(payload);
      answer[0] = ECHO_REPLY[source.length as 4 | 16];
      answer.writeUInt16BE(0, 2);
      this.#sendIp(icmpPacket(destination, source, answer));
    }
  }

  #onArp(query: Buffer): void {
    const own = addressBytes(this.#options.ipv4);
    if (query.readUInt16BE(6) !== 1 || !query.subarray(24, 28).equals(own)) return;
    this.queries.arp++;
    const answer = Buffer.from(query);
    answer.writeUInt16BE(2, 6);
    this.#mac.copy(answer, 8);
    own.copy(answer, 14);
    query.copy(answer, 18, 8, 18);
    this.#send(ETHERTYPE.arp, answer);
  }

  #onSolicitation({ source, payload }: IpPacket): void {
    const own = addressBytes(this.#options.ipv6);
    if (!payload.subarray(8, 24).equals(own)) return;
    this.queries.nd++;
    const answer = Buffer.alloc(32);
    answer[0] = NEIGHBOUR_ADVERTISEMENT;
    answer[4] = ADVERTISEMENT_FLAGS;
    own.copy(answer, 8);
    // Option "target link-layer address", one unit of 8 bytes.
    answer.set([2, 1], 24);
    this.#mac.copy(answer, 26);
    this.#sendIp(icmpPacket(own, source, answer));
  }

  #own(sameFamilyAs: Buffer): Buffer {
    return addressBytes(sameFamilyAs.length === 16 ? this.#options.ipv6 : this.#options.ipv4);
  }

  #sendIp(packet: Buffer): void {
    this.#send(packet[0]! >> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4, packet);
  }

  #send(type: number, payload: Buffer): void {
    const frame = ethernetFrame(macBytes(this.#options.guestMac), this.#mac, type, payload);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(frame.length);
    this.#card?.write(Buffer.concat([length, frame]));
  }
}
