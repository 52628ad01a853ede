// The agent's end of a serial line: one session at a time. A client that asks while there is one is told that the line is busy, unless the
// one there is gives no sign of life when it is asked for it.
import type net from 'node:net';
import type { Logger } from '../../log.ts';
import type { Connection } from '../connection.ts';
import { type Bridge, bridge } from './bridge.ts';
import { encodeFrame, FRAME_TYPES, type Frame, type FrameType } from './frame.ts';
import { Line } from './line.ts';
import type { Session } from './session.ts';

/** Smaller ones would make every frame wait for its answer. */
const LEAST_WINDOW = 1024;
const NOTHING = Buffer.alloc(0);

export interface ServerLinkOptions {
  /** Bytes under way each way at most; a slow line needs a small one, or signs of life come late. */
  readonly window: number;
  /** What its connections are called: `serial:NAME`. */
  readonly peer: string;
  readonly log: Logger;
  readonly onConnection: (connection: Connection) => void;
  /** Once: the line is gone, and this session with it. */
  readonly onClose: (lost?: bigint) => void;
  /**
   * The session that went with the line as it was before. Its client is told, should it be there: on virtio-serial the word that the last
   * client has hung up can come after the first bytes of the next one.
   */
  readonly lost?: bigint;
  /** How long the client that has the line may take to show that it lives when another one asks for it. */
  readonly probeMs: number;
}

interface Wish {
  readonly id: bigint;
  readonly window: number;
}

export class ServerLink {
  readonly #options: ServerLinkOptions;
  readonly #line: Line;
  #live: Bridge | undefined;
  /** Who asked last while another is asked whether it lives. */
  #waiting: Wish | undefined;
  #probe: NodeJS.Timeout | undefined;
  /** Until somebody is heard: nobody may have been there to be told. */
  #lost: bigint | undefined;

  /** Takes over the line. */
  constructor(idle: net.Socket, options: ServerLinkOptions) {
    this.#options = options;
    this.#line = new Line(idle, {
      onFrame: (frame) => this.#onFrame(frame),
      onClose: () => {
        clearTimeout(this.#probe);
        const lost = this.#live?.session.id ?? this.#lost;
        this.#live?.session.abort('the line was closed at the other end');
        options.onClose(lost);
      },
    });
    this.#lost = options.lost;
    if (this.#lost !== undefined) this.#say(FRAME_TYPES.reset, this.#lost, 0);
  }

  close(): void {
    this.#live?.session.reset('the agent is stopping');
    this.#line.closeWhenSent();
  }

  #onFrame(frame: Frame): void {
    const { type, session: id } = frame;
    this.#lost = undefined;
    const live = this.#live?.session;
    if (type === FRAME_TYPES.open) {
      this.#onOpen({ id, window: frame.sent });
    } else if (id === live?.id) {
      this.#refuseWaiting();
      live.receive(frame);
    } else if (type === FRAME_TYPES.data || type === FRAME_TYPES.ping || type === FRAME_TYPES.fin) {
      // A client of an earlier agent, or one that was given up: it should not wait for what will not come.
      this.#say(FRAME_TYPES.reset, id, 0);
    }
  }

  #onOpen(wish: Wish): void {
    const live = this.#live?.session;
    if (live === undefined) this.#begin(wish);
    // Asked once more, since the answer was not there yet.
    else if (wish.id === live.id) this.#say(FRAME_TYPES.accept, wish.id, this.#windowFor(wish));
    else this.#askWhetherAlive(live, wish);
  }

  #askWhetherAlive(live: Session, wish: Wish): void {
    if (this.#waiting !== undefined && this.#waiting.id !== wish.id) this.#say(FRAME_TYPES.busy, this.#waiting.id, 0);
    this.#waiting = wish;
    if (this.#probe !== undefined) return;
    this.#probe = setTimeout(() => {
      const next = this.#waiting;
      this.#endProbe();
      live.reset('it gave no sign of life, and another client wants the line');
      if (next !== undefined && this.#live === undefined) this.#begin(next);
    }, this.#options.probeMs);
    live.ping();
  }

  /** The client that has the line has just shown that it lives. */
  #refuseWaiting(): void {
    const refused = this.#waiting;
    if (refused === undefined) return;
    this.#endProbe();
    this.#options.log.info('serial client refused: another one has the line', { peer: this.#options.peer });
    this.#say(FRAME_TYPES.busy, refused.id, 0);
  }

  #endProbe(): void {
    clearTimeout(this.#probe);
    this.#probe = undefined;
    this.#waiting = undefined;
  }

  #begin(wish: Wish): void {
    const { log, peer, onConnection } = this.#options;
    const window = this.#windowFor(wish);
    const made = bridge(
      { id: wish.id, window },
      {
        transmit: (bytes) => this.#line.send(bytes),
        over: (reason) => {
          if (this.#live !== made) return;
          this.#live = undefined;
          log.debug('serial client gone', { peer, ...(reason === undefined ? {} : { reason }) });
          const next = this.#waiting;
          this.#endProbe();
          if (next !== undefined) this.#begin(next);
        },
      },
    );
    this.#live = made;
    this.#say(FRAME_TYPES.accept, wish.id, window);
    log.debug('serial client connected', { peer, window });
    onConnection({ socket: made.socket, peer });
  }

  #windowFor(wish: Wish): number {
    return Math.max(LEAST_WINDOW, Math.min(this.#options.window, wish.window));
  }

  #say(type: FrameType, session: bigint, sent: number): void {
    this.#line.send(encodeFrame({ type, session, sent, taken: 0, payload: NOTHING }));
  }
}
