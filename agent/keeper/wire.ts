// The messages between the agent and berth-init, to bytes and back. The layout and its meaning are in native/init/keeper.h;
// change both together, and the version.
import { AgentError } from '../errors.ts';

export const KEEPER_VERSION = 1;
/** No message either way is longer. */
export const KEEPER_MESSAGE_MAX = 256;
export const KEEPER_KEY_BYTES = 16;
const PATH_BYTES = 224;
/** Under one key. */
export const KEEPER_FDS_MAX = 16;

const TYPE = {
  track: 1,
  ack: 2,
  settle: 3,
  powerOff: 4,
  pet: 5,
  resized: 6,
  upgrade: 7,
  welcome: 64,
  result: 65,
  exit: 66,
  fds: 80,
} as const;
const FD_TYPE = { put: 16, get: 17, delete: 18, list: 19 } as const;
const HEADER_BYTES = 8;
const EXIT_LOST = 1;
const U32_MAX = 0xffff_ffff;

/** How init answers a request. */
export type KeeperResult = 'ok' | 'unknown' | 'full' | 'not-supported' | 'malformed';
const RESULTS: readonly KeeperResult[] = ['ok', 'unknown', 'full', 'not-supported', 'malformed'];

/** One process and its end. Exactly one of `code` and `signal` is set. */
export interface ExitRecord {
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/pid/stat. */
  readonly startTime: bigint;
  readonly code?: number;
  readonly signal?: number;
  readonly coreDumped: boolean;
  /** When init saw it: Unix time in ms. */
  readonly exitedAt: number;
}

export interface ProcessName {
  pid: number;
  startTime: bigint;
}

export type KeeperMessage =
  | { type: 'welcome'; version: number; generation: number; tracked: number; trackedMax: number; watchdogMs: number }
  | { type: 'result'; id: number; result: KeeperResult; startTime: bigint }
  | { type: 'exit'; record: ExitRecord }
  /** The process is gone, but another parent reaped it: nobody knows how it ended. */
  | { type: 'lost'; process: ProcessName }
  /** What is held under a key; the fds themselves ride on the answer to a get. */
  | { type: 'fds'; id: number; key: Buffer; count: number };

/** Asks for the exit of a process; without a start time, of the newest one of that pid since `since` (ticks since boot). */
export function encodeTrack(id: number, pid: number, startTime: bigint | undefined, since: bigint): Buffer {
  const message = start(TYPE.track, id, 32);
  message.writeUInt32LE(pid, 8);
  message.writeBigUInt64LE(startTime ?? 0n, 16);
  message.writeBigUInt64LE(since, 24);
  return message;
}

/** Lets init forget the record, or the request while the process lives. */
export function encodeAck({ pid, startTime }: ProcessName): Buffer {
  const message = start(TYPE.ack, 0, 24);
  message.writeUInt32LE(pid, 8);
  message.writeBigUInt64LE(startTime, 16);
  return message;
}

/** All this agent knows of has been asked for: what only earlier agents asked for may go. */
export function encodeSettle(): Buffer {
  return start(TYPE.settle, 0, HEADER_BYTES);
}

/** Shows the watchdog that the event loop runs. */
export function encodePet(): Buffer {
  return start(TYPE.pet, 0, HEADER_BYTES);
}

/** The machine has more or less memory than before. */
export function encodeResized(): Buffer {
  return start(TYPE.resized, 0, HEADER_BYTES);
}

export function encodePowerOff(): Buffer {
  return start(TYPE.powerOff, 0, 16);
}

/** Asks for `path` to be run in place of one argument of the agent's command. @throws RangeError for a path without room */
export function encodeUpgrade(id: number, path: string, argument: number): Buffer {
  const message = start(TYPE.upgrade, id, 16 + PATH_BYTES);
  if (Buffer.byteLength(path) >= PATH_BYTES) throw new RangeError(`a path of more than ${PATH_BYTES - 1} bytes: ${path}`);
  message.writeUInt32LE(argument, HEADER_BYTES);
  message.write(path, 16);
  return message;
}

/** Asks for something to be done with the fds under a key; `count` of them come with a put. */
export function encodeFdRequest(id: number, what: 'put' | 'get' | 'delete', key: Buffer, count = 0): Buffer {
  const message = start(FD_TYPE[what], id, 32);
  key.copy(message, HEADER_BYTES, 0, KEEPER_KEY_BYTES);
  message.writeUInt32LE(count, 24);
  return message;
}

/** Asks for every key that fds are held under. */
export function encodeFdList(id: number): Buffer {
  return start(FD_TYPE.list, id, HEADER_BYTES);
}

function start(type: number, id: number, bytes: number): Buffer {
  const message = Buffer.alloc(bytes);
  message.writeUInt16LE(KEEPER_VERSION, 0);
  message.writeUInt16LE(type, 2);
  message.writeUInt32LE(id, 4);
  return message;
}

/** @throws internal on anything this version does not know */
export function decodeMessage(message: Buffer): KeeperMessage {
  if (message.length < HEADER_BYTES) throw unreadable('is shorter than its header', message);
  const version = message.readUInt16LE(0);
  if (version !== KEEPER_VERSION) throw unreadable(`has version ${version}, this agent speaks ${KEEPER_VERSION}`, message);
  switch (message.readUInt16LE(2)) {
    case TYPE.welcome: {
      expectLength(message, 24);
      const [generation, tracked, trackedMax] = [message.readUInt32LE(8), message.readUInt32LE(12), message.readUInt32LE(16)];
      const watchdogMs = message.readUInt32LE(20);
      return { type: 'welcome', version, generation, tracked, trackedMax, watchdogMs };
    }
    case TYPE.result: {
      expectLength(message, 24);
      const result = RESULTS[message.readUInt32LE(12)];
      if (result === undefined) throw unreadable('has an unknown result', message);
      return { type: 'result', id: message.readUInt32LE(4), result, startTime: message.readBigUInt64LE(16) };
    }
    case TYPE.exit:
      expectLength(message, 40);
      return decodeExit(message);
    case TYPE.fds:
      expectLength(message, 32);
      return {
        type: 'fds',
        id: message.readUInt32LE(4),
        key: message.subarray(HEADER_BYTES, HEADER_BYTES + KEEPER_KEY_BYTES),
        count: message.readUInt32LE(24),
      };
    default:
      throw unreadable('has an unknown type', message);
  }
}

function decodeExit(message: Buffer): KeeperMessage {
  const pid = message.readUInt32LE(8);
  const status = message.readUInt32LE(12);
  const startTime = message.readBigUInt64LE(16);
  if ((message.readUInt32LE(32) & EXIT_LOST) !== 0) return { type: 'lost', process: { pid, startTime } };
  const exitedAt = Number(message.readBigUInt64LE(24) / 1_000_000n);
  return { type: 'exit', record: { pid, startTime, ...decodeWaitStatus(status), exitedAt } };
}

/** The bits of wait(2). */
export function decodeWaitStatus(status: number): { code?: number; signal?: number; coreDumped: boolean } {
  const signal = status & 0x7f;
  if (signal === 0) return { code: (status >> 8) & 0xff, coreDumped: false };
  return { signal, coreDumped: (status & 0x80) !== 0 };
}

/** Whether a number fits a pid or an id of the wire. */
export function isU32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= U32_MAX;
}

function expectLength(message: Buffer, bytes: number): void {
  if (message.length !== bytes) throw unreadable(`should have ${bytes} bytes`, message);
}

function unreadable(why: string, message: Buffer): AgentError {
  return new AgentError('internal', `a message of berth-init ${why}`, { fields: { bytes: message.length } });
}
