// The socket to berth-init: requests and their answers matched, what has no room sent later, and one end for all of it.
import { native, type Watch } from '../../native/index.ts';
import { AgentError, describeError, fromErrno, isErrno } from '../errors.ts';
import type { Logger } from '../log.ts';
import { decodeMessage, KEEPER_MESSAGE_MAX, type KeeperMessage } from './wire.ts';

export type Answer = KeeperMessage & { type: 'result' | 'fds' };
export type Notice = KeeperMessage & { type: 'exit' | 'lost' };

/** Who asked, until the answer that is the last. */
export interface Asker {
  /** Whether fds may come with the answer. */
  readonly takesFds?: boolean;
  /** `fds` are the asker's to close. @returns whether it was the last answer */
  answer(answer: Answer, fds: number[]): boolean;
  fail(error: AgentError): void;
}

export interface LinkListener {
  onNotice(notice: Notice): void;
  /** Once, after all requests have failed. */
  onEnd(error: AgentError): void;
}

interface Outgoing {
  message: Buffer;
  fds: readonly number[];
  /** Of the request, 0 for what gets no answer. */
  id: number;
}

/** Asked for and not answered yet; init's own table of processes holds half as many. */
const REQUESTS_MAX = 8192;
/** Messages that the socket had no room for. */
const BACKLOG_MAX = 2 * REQUESTS_MAX;
const RETRY_MS = 5;
/** Read in one go before other work gets its turn. */
const MESSAGES_PER_TURN = 256;
const NO_FDS: readonly number[] = [];

export class KeeperLink {
  readonly welcome: KeeperMessage & { type: 'welcome' };
  readonly #fd: number;
  readonly #log: Logger;
  readonly #listener: LinkListener;
  readonly #watch: Watch;
  /** In the order in which init answers them. */
  readonly #requests = new Map<number, Asker>();
  readonly #backlog: Outgoing[] = [];
  #retry: NodeJS.Timeout | undefined;
  #lastId = 0;
  #ended: AgentError | undefined;

  /** Takes over `fd`. @throws unavailable when it is not the socket of berth-init */
  constructor(fd: number, log: Logger, listener: LinkListener) {
    this.#fd = fd;
    this.#log = log;
    this.#listener = listener;
    this.welcome = readWelcome(fd);
    this.#watch = native().watchReadable(fd, () => this.#onReadable());
  }

  /** Asks with the message that `encode` makes for an id. `fds` have to stay open until the answer. */
  request(asker: Asker, encode: (id: number) => Buffer, fds = NO_FDS): void {
    const refused = this.#ended ?? (this.#requests.size >= REQUESTS_MAX ? tooMany() : undefined);
    if (refused !== undefined) {
      asker.fail(refused);
      return;
    }
    const id = this.#nextId();
    this.#requests.set(id, asker);
    this.#send({ message: encode(id), fds, id });
  }

  /** Sends what gets no answer. */
  tell(message: Buffer): void {
    if (this.#ended === undefined) this.#send({ message, fds: NO_FDS, id: 0 });
  }

  close(): void {
    this.#end(new AgentError('cancelled', 'the connection to berth-init is closed'));
  }

  #nextId(): number {
    do this.#lastId = this.#lastId >= 0xffff_ffff ? 1 : this.#lastId + 1;
    while (this.#requests.has(this.#lastId));
    return this.#lastId;
  }

  #onReadable(): void {
    for (let i = 0; i < MESSAGES_PER_TURN && this.#ended === undefined; i++) {
      const received = this.#receive();
      if (received === undefined) break;
      if (received.data.length === 0) this.#end(new AgentError('unavailable', 'berth-init closed its connection'));
      else this.#onMessage(received.data, received.fds);
    }
    this.#flush();
  }

  /** undefined when there is nothing to read now. */
  #receive(): { data: Buffer; fds: number[] } | undefined {
    for (;;) {
      try {
        return native().recvFds(this.#fd, KEEPER_MESSAGE_MAX);
      } catch (error) {
        if (isErrno(error, 'EAGAIN')) return undefined;
        if (!isErrno(error, 'EMFILE') || !this.#failFirstTaker(error)) {
          this.#end(fromErrno(error, 'read from berth-init'));
          return undefined;
        }
      }
    }
  }

  /** An answer whose fds found no room here is gone; it was the one to the oldest request for fds. */
  #failFirstTaker(cause: unknown): boolean {
    for (const [id, asker] of this.#requests) {
      if (asker.takesFds !== true) continue;
      this.#requests.delete(id);
      asker.fail(new AgentError('resource_exhausted', 'no room for the fds that berth-init holds', { cause }));
      return true;
    }
    return false;
  }

  #onMessage(data: Buffer, fds: number[]): void {
    let message: KeeperMessage | undefined;
    try {
      message = decodeMessage(data);
    } catch (error) {
      this.#log.error('unreadable message from berth-init', { error: describeError(error) });
    }
    if (message?.type === 'fds' && this.#answered(message, fds)) return;
    for (const stray of fds) native().close(stray);
    if (message?.type === 'exit' || message?.type === 'lost') this.#listener.onNotice(message);
    else if (message?.type === 'result' && !this.#answered(message, []))
      this.#log.error('berth-init refused a message', { result: message.result });
  }

  #answered(answer: Answer, fds: number[]): boolean {
    const asker = this.#requests.get(answer.id);
    if (asker === undefined) return false;
    if (asker.answer(answer, fds)) this.#requests.delete(answer.id);
    return true;
  }

  #send(outgoing: Outgoing): void {
    if (this.#backlog.length >= BACKLOG_MAX) {
      this.#end(new AgentError('resource_exhausted', `berth-init has not read for ${BACKLOG_MAX} messages`));
      return;
    }
    this.#backlog.push(outgoing);
    this.#flush();
  }

  /** init stops reading while we do not read its answers, so what didn't fit goes out after reading, or a little later. */
  #flush(): void {
    let done = 0;
    while (this.#ended === undefined && done < this.#backlog.length && this.#sent(this.#backlog[done]!)) done++;
    this.#backlog.splice(0, done);
    if (this.#ended !== undefined || this.#backlog.length === 0 || this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#flush();
    }, RETRY_MS);
  }

  /** False when it has to wait. */
  #sent({ message, fds, id }: Outgoing): boolean {
    try {
      native().sendFds(this.#fd, message, fds);
      return true;
    } catch (error) {
      // ETOOMANYREFS: so many fds are on their way already, counted over all that this user sends.
      if (isErrno(error, 'EAGAIN', 'ETOOMANYREFS')) return false;
      if (!isErrno(error, 'EBADF') || fds.length === 0) {
        this.#end(fromErrno(error, 'write to berth-init'));
        return false;
      }
      const asker = this.#requests.get(id);
      this.#requests.delete(id);
      asker?.fail(new AgentError('invalid_argument', 'an fd for berth-init is not open', { cause: error }));
      return true;
    }
  }

  #end(error: AgentError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    clearTimeout(this.#retry);
    this.#watch.close();
    native().close(this.#fd);
    const askers = [...this.#requests.values()];
    this.#requests.clear();
    this.#backlog.length = 0;
    if (error.code !== 'cancelled')
      this.#log.error('lost the connection to berth-init', { error: describeError(error), requests: askers.length });
    for (const asker of askers) asker.fail(error);
    this.#listener.onEnd(error);
  }
}

function tooMany(): AgentError {
  return new AgentError('resource_exhausted', `${REQUESTS_MAX} requests wait for berth-init`);
}

/** init writes it before it starts the agent, so it is there or this is no keeper socket. */
function readWelcome(fd: number): KeeperMessage & { type: 'welcome' } {
  let message: KeeperMessage;
  try {
    const { data, fds } = native().recvFds(fd, KEEPER_MESSAGE_MAX);
    for (const stray of fds) native().close(stray);
    message = decodeMessage(data);
  } catch (error) {
    throw new AgentError('unavailable', `fd ${fd} is not the socket of berth-init`, { cause: error, fields: { fd } });
  }
  if (message.type === 'welcome') return message;
  throw new AgentError('unavailable', `berth-init began with ${message.type}, not with its welcome`, { fields: { fd } });
}
