// The one file that touches Node's stream handles. libuv guesses the kind of an fd and knows nothing of AF_VSOCK, so Node refuses such
// an fd; but a pipe handle does plain read(2), writev(2) and shutdown(2) on whatever it is given. Opened as one, a vsock is an ordinary
// net.Socket. Never ask such a socket for its address: only that part is AF_UNIX.
import net from 'node:net';
import { native } from '../../native/index.ts';
import { AgentError } from '../errors.ts';

/** node's internal Pipe, as far as we use it. */
interface PipeHandle {
  open(fd: number): number;
  close(): void;
}
type PipeClass = new (type: number) => PipeHandle;

interface HandleOwner {
  _handle: PipeHandle | null;
}

/** PipeConstants.SOCKET in node's pipe_wrap. */
const PIPE_SOCKET = 0;

let pipeClass: PipeClass | undefined;

/**
 * Makes a connected stream fd of any family a socket, which owns the fd from here on. Nothing is read until somebody asks.
 * @throws {AgentError} internal when this Node does not have the handles we know
 */
export function socketFromFd(fd: number): net.Socket {
  const Pipe = findPipeClass();
  const handle = new Pipe(PIPE_SOCKET);
  const failed = handle.open(fd);
  if (failed !== 0) {
    handle.close();
    native().close(fd);
    throw new AgentError('internal', `a pipe handle cannot be opened on fd ${fd}`, { fields: { fd, errno: failed } });
  }
  return idleSocket(handle);
}

/** Checks once, at start-up, that this Node lets us do what this file does. @throws {AgentError} internal */
export function checkPipeHandles(): void {
  const [ours, theirs] = native().socketPair();
  native().close(theirs);
  socketFromFd(ours).destroy();
}

/** Gets the bytes as they come. The chunk is valid during the call only. Returning false stops reading until `resume()`. */
export type ChunkReceiver = (chunk: Buffer) => boolean;

/** One for all connections: a chunk is read and handed on within one turn of the loop. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * Takes over the handle of a socket from which nothing has been read, and reads from it at once into memory that is used again and again:
 * twice as fast as 'data' events, and no garbage. The socket given is dead afterwards.
 */
export function readChunks(idle: net.Socket, onChunk: ChunkReceiver): net.Socket {
  const handle = takeHandle(idle);
  const callback = (length: number, buffer: Uint8Array) => onChunk((buffer as Buffer).subarray(0, length));
  return new net.Socket(inside({ handle, onread: { buffer: READ_BUFFER, callback } }));
}

/**
 * Gives the handle on to http2, which reads from it by itself; bytes read so far can be `unshift`ed. It is not an ordinary socket again:
 * Node goes on reading into our memory for anybody else. Not from within a ChunkReceiver.
 */
export function socketForHttp2(socket: net.Socket): net.Socket {
  return idleSocket(takeHandle(socket));
}

function idleSocket(handle: PipeHandle): net.Socket {
  return new net.Socket(inside({ handle, manualStart: true }));
}

/** `handle` and `manualStart` are older than the type declarations, which leave them out. */
function inside(options: {
  handle?: PipeHandle;
  fd?: number;
  manualStart?: boolean;
  onread?: object;
}): net.SocketConstructorOpts {
  return options as net.SocketConstructorOpts;
}

function takeHandle(socket: net.Socket): PipeHandle {
  const owner = socket as unknown as HandleOwner;
  const handle = owner._handle;
  if (!handle) throw new AgentError('unavailable', 'the connection is closed');
  owner._handle = null;
  socket.destroy();
  return handle;
}

/** The class has no name we may import; an AF_UNIX socket, which Node does accept by fd, has an instance. */
function findPipeClass(): PipeClass {
  if (pipeClass) return pipeClass;
  const [ours, theirs] = native().socketPair();
  native().close(theirs);
  const probe = new net.Socket(inside({ fd: ours, manualStart: true }));
  const found = (probe as unknown as HandleOwner)._handle?.constructor as PipeClass | undefined;
  probe.destroy();
  if (typeof found !== 'function' || typeof found.prototype.open !== 'function') {
    throw new AgentError('internal', `Node ${process.version} has no pipe handle to wrap a vsock in`);
  }
  pipeClass = found;
  return found;
}
