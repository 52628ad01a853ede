// The typed door to the addon: verbs on fds and pids that Node cannot ask for. Holds no streams, knows nothing of Berth.
// Every failure is a Node system error: `code` ('EPERM'), `errno` (negative), `syscall`, and `path` where there is one; a
// value of the wrong kind is a TypeError (ERR_INVALID_ARG_VALUE) that names the argument. A verb that returns a promise
// rejects and never throws. Every fd it makes is close-on-exec.
import { createRequire } from 'node:module';

/** A vsock address (man 7 vsock). */
export interface VsockAddress {
  cid: number;
  port: number;
}

/**
 * Something being watched on the event loop; `close` is idempotent and never closes the fd given. It watches a duplicate:
 * the fd may be closed at any time, but what it stands for stays open until the watch is closed too. The fd becomes
 * non-blocking. @throws EPERM for what epoll can't wait for (regular files)
 */
export interface Watch {
  close(): void;
  /** No calls until `resume`. */
  pause(): void;
  resume(): void;
  ref(): void;
  unref(): void;
}

export interface SpawnSpec {
  /** Absolute path of the program. */
  file: string;
  /** argv, argv[0] included. */
  args: readonly string[];
  /** `KEY=value` strings; the child's whole environment. */
  env: readonly string[];
  /** fds[i] becomes the child's fd i; -1 gives /dev/null. Nothing else is inherited. */
  fds: readonly number[];
  cwd?: string;
  /** Start in a session of its own (setsid). */
  newSession?: boolean;
  /** Its oom_score_adj (man 5 proc_pid_oom_score_adj), -1000 to 1000; 0 unless told, whatever the agent's own is. */
  oomScoreAdj?: number;
}

export interface Spawned {
  pid: number;
  /** Caller closes it. */
  pidfd: number;
}

/** man 7 inotify, struct inotify_event. */
export interface InotifyEvent {
  /** -1 when the queue ran over. */
  watch: number;
  mask: number;
  /** The same for both halves of a move. */
  cookie: number;
  /** In the directory watched; empty for itself. */
  name: string;
}

/** How a child ended (man 2 waitid). One of `code` and `signal` is set; neither, and pid -1, if somebody else reaped it. */
export interface ChildExit {
  pid: number;
  code?: number;
  signal?: number;
  coreDumped: boolean;
}

export interface Native {
  // --- vsock
  /** Bound and listening, non-blocking. cid 0xffffffff is any. */
  vsockListen(cid: number, port: number, backlog: number): number;
  /**
   * Accepts on a listening vsock fd. A peer whose CID is not `allowedCid` is closed before a byte is read
   * and counted in `refused`; pass undefined to accept any. When there is no fd for a connection it is closed and counted
   * in `shed`. At most 64 are accepted each time round the loop. The callback owns the fd (non-blocking).
   */
  vsockAccept(
    listenFd: number,
    allowedCid: number | undefined,
    onConnection: (fd: number, peer: VsockAddress) => void,
  ): Watch & { readonly refused: number; readonly shed: number };
  /** A connected, non-blocking fd. @throws ETIMEDOUT, ECONNRESET (nobody listens), ENODEV (no such guest) */
  vsockConnect(cid: number, port: number, timeoutMs: number): Promise<number>;
  vsockPeer(fd: number): VsockAddress;
  /** The socket's own address. */
  vsockLocal(fd: number): VsockAddress;
  /** This machine's own CID (2 on a host). @throws ENOENT, ENODEV where there is no vsock. */
  vsockLocalCid(): number;

  // --- stream sockets: TCP and Unix, non-blocking, by descriptor
  /**
   * A new socket in the network namespace of the process, or in ours without one; also made on a thread of its own.
   * @throws ESRCH for a process that is gone; EINVAL before Linux 5.8
   */
  socketIn(pidfd: number | undefined, family: 'inet' | 'inet6' | 'unix'): Promise<number>;
  /**
   * Connects it and gives a duplicate, connected; the one given stays the caller's to close. `address` is an IP address, or for a Unix socket a
   * path or '@' and an abstract name; `port` is for IP.
   * @throws ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ...; EAGAIN when the listener of a Unix socket has its backlog full
   */
  connectSocket(socketFd: number, address: string, port: number, timeoutMs: number): Promise<number>;
  /** recv of as much as there is, at most the buffer's length. Returns 0 at the end, -1 when there is nothing yet. @throws ECONNRESET, ... */
  receive(fd: number, buffer: Uint8Array): number;
  /** send of as much as there is room for, without SIGPIPE. Returns -1 when there is no room. @throws EPIPE, ECONNRESET, ... */
  transmit(fd: number, data: Uint8Array): number;
  /** shutdown(SHUT_WR): the other side reads the end, and may go on writing. @throws ENOTCONN */
  shutdownWrites(fd: number): void;
  /** When the last descriptor of it is closed the other side of TCP sees a reset instead of an end (SO_LINGER, man 7 socket). */
  resetOnClose(fd: number): void;

  // --- processes
  /**
   * vfork and exec with default signal dispositions and an empty mask; returns once the program has been exec'ed, which takes
   * 50 µs whatever the size of this process. @throws ENOENT, EACCES, ... of the exec itself, or of `cwd` (syscall 'chdir')
   */
  spawn(spec: SpawnSpec): Spawned;
  /** Reaps a child of ours when it ends (waitid P_PIDFD) and calls back once; the caller closes the pidfd. @throws ECHILD */
  watchChild(pidfd: number, onExit: (exit: ChildExit) => void): Watch;
  pidfdOpen(pid: number): number;
  pidfdSendSignal(pidfd: number, signal: number): void;

  // --- fds
  /** [readEnd, writeEnd], blocking unless made otherwise by its user. */
  pipe(): [number, number];
  /** F_SETPIPE_SZ; returns the size really set. */
  setPipeSize(fd: number, bytes: number): number;
  /** AF_UNIX pair, blocking. @param type 'stream' unless told */
  socketPair(type?: 'stream' | 'seqpacket'): [number, number];
  close(fd: number): void;
  /**
   * Calls back while the fd is readable or at its end: read until EAGAIN, or close the watch. An fd in error (a socket
   * that was reset) calls back once more and then no longer.
   */
  watchReadable(fd: number, onReadable: () => void): Watch;
  /** Calls back while the fd takes bytes, so pause it when there are none to give. An fd in error (nobody reads) calls back once more. */
  watchWritable(fd: number, onWritable: () => void): Watch;
  /**
   * Calls back for each change of a file that says so by POLLPRI: cgroup event files, PSI triggers, /proc/self/mountinfo.
   * May call back once at first; the last call comes when the file's cgroup is removed. Reads no more than its first byte.
   */
  watchPriority(fd: number, onEvent: () => void): Watch;
  /**
   * One message over a connected Unix socket: at least a byte, up to 16 fds. On a stream socket fewer bytes may be taken
   * than given; the fds go with the first. @throws EAGAIN when it would block
   */
  sendFds(socketFd: number, data: Uint8Array, fds: readonly number[]): number;
  /**
   * One recvmsg of at most 1 MiB, non-blocking. data of length 0 means the peer closed. A message longer than `maxBytes`
   * (seqpacket) or with more than 16 fds is dropped whole. @throws EAGAIN, EMSGSIZE, EMFILE (no room for its fds)
   */
  recvFds(socketFd: number, maxBytes: number): { data: Buffer; fds: number[] };
  /** A listening Unix stream socket at `path` (mode 0600), for crun's console socket. */
  unixListen(path: string, backlog: number): number;
  /** Next connection. @throws EAGAIN when there is none */
  unixAccept(listenFd: number): number;

  // --- logs of streams: bytes move within the kernel, and a file's own position says exactly how far they have come
  /** An anonymous file in memory (man 2 memfd_create). */
  memfdCreate(name: string): number;
  /** Sets the file's position to 0. */
  rewind(fd: number): void;
  /**
   * Moves up to `maxBytes` (at most 1 MiB), one of the two being a pipe; a file is read or written at its own position, which moves on by as
   * much. Returns 0 at the end of `from`, -1 when it would block: an empty source, and a full pipe or terminal that is non-blocking.
   */
  splice(from: number, to: number, maxBytes: number): number;
  /** Moves bytes from the file's own position, which moves on by as much, to a pipe, terminal or socket. Returns as {@link splice}. */
  sendFile(to: number, file: number, maxBytes: number): number;
  /** pread and pwrite of as much as goes in one call; the file's position stays. For files in memory: it does not wait for a disk. */
  readAt(fd: number, buffer: Uint8Array, offset: bigint): number;
  writeAt(fd: number, data: Uint8Array, offset: bigint): number;
  /** Gives the memory of the bytes [from, to) back; they read as zeros, the size stays. */
  punchHole(fd: number, from: bigint, to: bigint): void;
  /** Whether reading would not block: there are bytes, or the end. Tells an empty source from a full target when a move says -1. */
  isReadable(fd: number): boolean;
  filePosition(fd: number): bigint;
  fileSize(fd: number): bigint;

  // --- devices
  /** A non-blocking socket on which the kernel tells of devices, in this network namespace (man 7 netlink). */
  ueventOpen(): number;
  /**
   * The next message of the kernel's, `ACTION@DEVPATH` and then `KEY=value`, each ended by a NUL; undefined when there is none.
   * Messages of any other sender are dropped. @throws ENOBUFS when some were lost
   */
  ueventReceive(fd: number): Buffer | undefined;

  // --- changes of files (man 7 inotify)
  /** A non-blocking queue of changes. */
  inotifyOpen(): number;
  /** Watches what `place` is open on, and nothing that its name may lead to by then. @returns its number in the queue @throws ENOSPC */
  inotifyAdd(fd: number, place: number, mask: number): Promise<number>;
  /** One that is over already is fine. */
  inotifyRemove(fd: number, watch: number): void;
  /** What has come, up to 64 KiB; empty for nothing. */
  inotifyRead(fd: number): InotifyEvent[];

  // --- terminals
  /** TIOCSWINSZ (man 4 tty_ioctl). */
  setWinsize(fd: number, rows: number, columns: number): void;
  getWinsize(fd: number): { rows: number; columns: number };
  /** The slave of a master, whatever path it has and in whichever mount namespace; the caller closes it. */
  openTerminalPeer(master: number): number;
  /** A new pty pair. */
  openPty(): { master: number; slave: number; path: string };
  /** Puts a terminal into raw mode and returns a function's worth of state to restore it with (man 3 termios). */
  makeRaw(fd: number): Buffer;
  restoreTerminal(fd: number, state: Buffer): void;

  // --- the machine; those that can hang run each on a thread of its own, at most 64 at a time (@throws EAGAIN)
  mount(source: string, target: string, fstype: string, flags: number, data: string): Promise<void>;
  umount(target: string, flags: number): Promise<void>;
  /** man 2 settimeofday */
  setTimeOfDay(seconds: bigint, microseconds: number): void;
  /**
   * Makes a new namespace of the kind and pins it by a bind mount on the file `path` (created if absent, and removed
   * again on failure); 'uts' gets `hostname`. No thread of Node's moves.
   */
  pinNamespace(kind: 'ipc' | 'uts', path: string, hostname?: string): Promise<void>;
  /**
   * Opens `path` below the directory's fd; the caller closes the fd. Links are followed as long as they stay below it, or none
   * at all with `noLinks`: then one is ELOOP wherever it leads.
   * @throws EXDEV for an absolute path or link, and for one that climbs out; ELOOP for a link of /proc
   */
  openBeneath(directory: number, path: string, flags: number, mode: number, noLinks?: boolean): Promise<number>;
  /**
   * Opens the absolute `path` as the process sees it: within its own root, no link leading out; the caller closes the fd. No thread of Node's moves.
   * @throws ESRCH for a process that is gone; ELOOP for a link of /proc
   */
  openInProcess(pidfd: number, path: string, flags: number): Promise<number>;
  /**
   * Opens `path` as if the directory were the root of everything: absolute paths and links count from it, `..` stops at it. The
   * caller closes the fd. @throws ELOOP for a link of /proc that is none of the file system
   */
  openInRoot(root: number, path: string, flags: number): Promise<number>;
  /** Gives an open file one more name, in an open directory; one without any (O_TMPFILE) gets its first. @throws EEXIST */
  linkFd(fd: number, directory: number, name: string): Promise<void>;
  /** man 2 renameat2; with `noReplace` what is there stays. @throws EEXIST, EXDEV */
  renameAt(fromDirectory: number, from: string, toDirectory: number, to: string, noReplace?: boolean): Promise<void>;
  /**
   * Puts a copy of what is mounted at `sourcePath` of one process, with all below it, on `targetPath` of another; both
   * absolute and resolved within the process's own root, no link leading out. A missing target is made with its
   * parents (0755), a file for a file. No thread of Node's moves. @throws ESRCH for a process that is gone
   */
  copyMount(sourcePidfd: number, sourcePath: string, targetPidfd: number, targetPath: string): Promise<void>;
  /** Credits 1 to 65536 bytes as entropy in full and reseeds the kernel's generator (man 4 random). */
  addEntropy(data: Uint8Array): Promise<void>;
  /** man 2 swapon */
  swapOn(path: string, flags: number): Promise<void>;
  /**
   * Makes the XFS mounted at `path` so many bytes large, in whole blocks; the device below it is that large already.
   * @throws EINVAL for less than it has (it can't shrink), ENOSPC above its device, EOPNOTSUPP for another file system
   */
  growXfs(path: string, bytes: bigint): Promise<void>;
  /** Gives free heap pages back to the kernel (man 3 malloc_trim). */
  mallocTrim(): void;
}

/** Flags of mount(2) and umount(2), from sys/mount.h. */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  MANDLOCK: 64,
  DIRSYNC: 128,
  NOSYMFOLLOW: 256,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  MOVE: 8192,
  REC: 16384,
  SILENT: 32768,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  STRICTATIME: 1 << 24,
  LAZYTIME: 1 << 25,
} as const;
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

export const VMADDR_CID_ANY = 0xffffffff;
export const VMADDR_CID_HOST = 2;

let loaded: Native | undefined;
let loadedFrom = '';

/** The addon, loaded at the first call: beside the bundle in the guest, from the build folder in a checkout. */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

/** The file that `native` is loaded from, absolute. */
export function addonPath(): string {
  native();
  return loadedFrom;
}

function load(): Native {
  const require = createRequire(import.meta.url);
  // In the guest the code runs from main.js or from chunks/, one level down.
  const beside = ['./berth.node', '../berth.node', '../build/native/berth.node'];
  // BERTH_ADDON is for tests only: it names a variant of the addon (sanitizers) by its absolute path.
  const candidates = process.env['BERTH_ADDON'] ? [process.env['BERTH_ADDON']] : beside;
  for (const candidate of candidates) {
    try {
      const addon = require(candidate) as Native;
      loadedFrom = require.resolve(candidate);
      return addon;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Error(`the addon is not built: looked for ${candidates.join(', ')} beside ${import.meta.url}; run \`npm run build\``);
}
