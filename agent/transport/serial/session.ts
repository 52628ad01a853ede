// One connection over a serial line, the same at both ends: bytes in order, room given back as they are read, an end for each direction, and a
// death noticed from silence. Pure: time comes in as ticks, bytes go out through its ports.
import { encodeFrame, FRAME_TYPES, type Frame, type FrameType, HEADER_BYTES, MAX_PAYLOAD_BYTES, writeFrame } from './frame.ts';

export interface SessionPorts {
  /** Whole frames, in order. */
  transmit(bytes: Buffer): void;
  /** Bytes of the other side; valid during the call only. `taken` is to be called once they are read. */
  deliver(payload: Uint8Array): void;
  /** Nothing more comes from the other side. */
  end(): void;
  /** All that was given to `write` is on the line. */
  drained(): void;
  /** Once. Without a reason both sides had ended. */
  over(reason?: string): void;
}

export interface SessionOptions {
  readonly id: bigint;
  /** What may be under way to the other side, and from it, unread: the smaller one of both sides' wishes. Bytes. */
  readonly window: number;
}

/** Ticks of silence (a tick is a second) after which the other side is asked for a sign of life, and after which it is dead. */
export const QUIET_TICKS = 5;
export const DEAD_TICKS = 15;
/** Frames are made in runs of so many, for one write each. */
const RUN_FRAMES = 8;
const NOTHING = Buffer.alloc(0);

export class Session {
  readonly id: bigint;
  readonly #window: number;
  readonly #ports: SessionPorts;
  /** Not sent yet. Its owner stops giving when `write` says no, so it is one chunk at most. */
  #queue: Buffer[] = [];
  #sent = 0;
  #acked = 0;
  #received = 0;
  #taken = 0;
  /** `taken` as the other side knows it. */
  #told = 0;
  #ending = false;
  #finSent = false;
  #finReceived = false;
  #over = false;
  #silentTicks = 0;

  constructor({ id, window }: SessionOptions, ports: SessionPorts) {
    this.id = id;
    this.#window = window;
    this.#ports = ports;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Owns the bytes. Returns whether they are on the line; if not, `drained` says when. */
  write(bytes: Buffer): boolean {
    if (this.#over || this.#ending || bytes.length === 0) return true;
    this.#queue.push(bytes);
    this.#flush();
    return this.#queue.length === 0;
  }

  /** After what was written. */
  end(): void {
    this.#ending = true;
    this.#sendFin();
  }

  /** So many of the delivered bytes have been read. */
  taken(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken - this.#told >= this.#window / 4) this.#send(FRAME_TYPES.ack);
  }

  /** Tells the other side, and is over. */
  reset(reason: string): void {
    if (this.#over) return;
    this.#send(FRAME_TYPES.reset, Buffer.from(reason).subarray(0, MAX_PAYLOAD_BYTES));
    this.abort(reason);
  }

  /** Over without a word, since nobody would hear it. */
  abort(reason?: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#queue = [];
    this.#ports.over(reason);
  }

  ping(): void {
    this.#send(FRAME_TYPES.ping);
  }

  /** A frame of this session. */
  receive({ type, sent, taken, payload }: Frame): void {
    if (this.#over) return;
    this.#silentTicks = 0;
    if (type === FRAME_TYPES.reset) {
      this.abort(Buffer.from(payload).toString('utf8') || 'the other side gave up');
    } else if (type >= FRAME_TYPES.data) {
      // What comes before it in the table sets up a session and carries no counts.
      const fault = this.#countFault(sent, taken) ?? this.#act(type, payload);
      if (fault !== undefined) this.reset(fault);
    }
  }

  /** A second has passed. */
  tick(): void {
    if (this.#over) return;
    this.#silentTicks += 1;
    if (this.#silentTicks >= DEAD_TICKS) {
      this.reset(`no sign of life for ${DEAD_TICKS} s`);
      return;
    }
    if (this.#silentTicks >= QUIET_TICKS) this.ping();
    // Should the line have lost it.
    if (this.#finSent) this.#send(FRAME_TYPES.fin);
  }

  #countFault(sent: number, taken: number): string | undefined {
    if (sent !== this.#received >>> 0) return 'bytes were lost on the line';
    if (!this.#acknowledge(taken)) return 'the other side has read more than it was sent';
    return undefined;
  }

  /** What is wrong with the frame, if something is. */
  #act(type: FrameType, payload: Uint8Array): string | undefined {
    if (type === FRAME_TYPES.data) return this.#take(payload);
    if (type === FRAME_TYPES.fin) this.#takeFin();
    else if (type === FRAME_TYPES.ping) this.#send(FRAME_TYPES.pong);
    return undefined;
  }

  #take(payload: Uint8Array): string | undefined {
    if (this.#finReceived) return 'bytes after the end';
    this.#received += payload.length;
    if (this.#received - this.#taken > this.#window) return 'more was sent than there is room for';
    this.#ports.deliver(payload);
    return undefined;
  }

  #takeFin(): void {
    if (this.#finReceived) return;
    this.#finReceived = true;
    this.#ports.end();
    if (this.#finSent) this.abort();
  }

  #acknowledge(taken: number): boolean {
    const more = (taken - (this.#acked >>> 0)) >>> 0;
    if (more > this.#sent - this.#acked) return false;
    this.#acked += more;
    this.#flush();
    return true;
  }

  #flush(): void {
    if (this.#queue.length === 0) return;
    while (this.#queue.length > 0 && this.#room() > 0) this.#sendRun();
    if (this.#queue.length > 0) return;
    this.#sendFin();
    this.#ports.drained();
  }

  #room(): number {
    return this.#window - (this.#sent - this.#acked);
  }

  #sendRun(): void {
    const head = this.#queue[0]!;
    const length = Math.min(head.length, this.#room(), RUN_FRAMES * MAX_PAYLOAD_BYTES);
    const frames = Math.ceil(length / MAX_PAYLOAD_BYTES);
    const run = Buffer.allocUnsafe(length + frames * HEADER_BYTES);
    let at = 0;
    for (let from = 0; from < length; from += MAX_PAYLOAD_BYTES) {
      const payload = head.subarray(from, Math.min(length, from + MAX_PAYLOAD_BYTES));
      at = writeFrame(run, at, this.#frame(FRAME_TYPES.data, payload));
      this.#sent += payload.length;
    }
    if (length === head.length) this.#queue.shift();
    else this.#queue[0] = head.subarray(length);
    this.#ports.transmit(run);
  }

  #sendFin(): void {
    if (!this.#ending || this.#finSent || this.#over || this.#queue.length > 0) return;
    this.#finSent = true;
    this.#send(FRAME_TYPES.fin);
    if (this.#finReceived) this.abort();
  }

  #send(type: FrameType, payload: Uint8Array = NOTHING): void {
    if (!this.#over) this.#ports.transmit(encodeFrame(this.#frame(type, payload)));
  }

  #frame(type: FrameType, payload: Uint8Array): Frame {
    this.#told = this.#taken;
    return { type, session: this.id, sent: this.#sent, taken: this.#taken, payload };
  }
}
