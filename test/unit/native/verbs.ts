// Every verb of the addon with the kinds of its arguments, and for each a value that is right but does no harm.

/** What an argument is; arguments.spec.ts has values that are not of it. */
export type Kind =
  | 'fd'
  | 'int32'
  | 'uint32'
  | 'uint16'
  | 'bytes'
  | 'bigint'
  | 'text'
  | 'texts'
  | 'ints'
  | 'callback'
  | 'data'
  | 'object';

const f = () => {};
/** Each verb with the names and kinds of its arguments, and a call that would be right. */
export const verbs: Record<string, [name: string, kind: Kind, right: unknown][]> = {
  vsockListen: [
    ['cid', 'uint32', 1],
    ['port', 'uint32', 1],
    ['backlog', 'fd', 1],
  ],
  vsockAccept: [
    ['listenFd', 'fd', 1],
    ['allowedCid', 'uint32', 1],
    ['onConnection', 'callback', f],
  ],
  vsockConnect: [
    ['cid', 'uint32', 1],
    ['port', 'uint32', 1],
    ['timeoutMs', 'fd', 1],
  ],
  vsockPeer: [['fd', 'fd', 1]],
  vsockLocal: [['fd', 'fd', 1]],
  spawn: [['spec', 'object', {}]],
  watchChild: [
    ['pidfd', 'fd', 1],
    ['onExit', 'callback', f],
  ],
  pidfdOpen: [['pid', 'fd', 1]],
  pidfdSendSignal: [
    ['pidfd', 'fd', 1],
    ['signal', 'fd', 0],
  ],
  setPipeSize: [
    ['fd', 'fd', 1],
    ['bytes', 'bytes', 1],
  ],
  close: [['fd', 'fd', 1]],
  watchReadable: [
    ['fd', 'fd', 1],
    ['onReadable', 'callback', f],
  ],
  watchPriority: [
    ['fd', 'fd', 1],
    ['onEvent', 'callback', f],
  ],
  sendFds: [
    ['socketFd', 'fd', 1],
    ['data', 'data', Buffer.from('x')],
    ['fds', 'ints', []],
  ],
  recvFds: [
    ['socketFd', 'fd', 1],
    ['maxBytes', 'bytes', 1],
  ],
  unixListen: [
    ['path', 'text', '/tmp/x'],
    ['backlog', 'fd', 1],
  ],
  unixAccept: [['listenFd', 'fd', 1]],
  setWinsize: [
    ['fd', 'fd', 1],
    ['rows', 'uint16', 1],
    ['columns', 'uint16', 1],
  ],
  getWinsize: [['fd', 'fd', 1]],
  makeRaw: [['fd', 'fd', 1]],
  restoreTerminal: [
    ['fd', 'fd', 1],
    ['state', 'data', Buffer.alloc(60)],
  ],
  mount: [
    ['source', 'text', 'x'],
    ['target', 'text', '/x'],
    ['fstype', 'text', 'x'],
    ['flags', 'uint32', 0],
    ['data', 'text', ''],
  ],
  umount: [
    ['target', 'text', '/x'],
    ['flags', 'fd', 0],
  ],
  setTimeOfDay: [
    ['seconds', 'bigint', -1n],
    ['microseconds', 'uint32', 0],
  ],
  pinNamespace: [
    ['kind', 'text', 'ipc'],
    ['path', 'text', '/no/such/x'],
  ],
  openBeneath: [
    ['directory', 'fd', 0],
    ['path', 'text', 'x'],
    ['flags', 'uint32', 0],
    ['mode', 'uint16', 0],
  ],
  openInRoot: [
    ['root', 'fd', 0],
    ['path', 'text', 'x'],
    ['flags', 'uint32', 0],
  ],
  linkFd: [
    ['fd', 'fd', 0],
    ['directory', 'fd', 0],
    ['name', 'text', 'x'],
  ],
  renameAt: [
    ['fromDirectory', 'fd', 0],
    ['from', 'text', 'x'],
    ['toDirectory', 'fd', 0],
    ['to', 'text', 'y'],
  ],
  inotifyAdd: [
    ['fd', 'fd', 0],
    ['place', 'fd', 0],
    ['mask', 'uint32', 1],
  ],
  inotifyRemove: [
    ['fd', 'fd', 0],
    ['watch', 'int32', 0],
  ],
  inotifyRead: [['fd', 'fd', 0]],
  openInProcess: [
    ['pidfd', 'fd', 0],
    ['path', 'text', '/x'],
    ['flags', 'uint32', 0],
  ],
  socketIn: [
    ['pidfd', 'fd', 0],
    ['family', 'text', 'unix'],
  ],
  connectSocket: [
    ['socketFd', 'fd', 0],
    ['address', 'text', '/no/such/x'],
    ['port', 'uint16', 0],
    ['timeoutMs', 'uint32', 0],
  ],
  receive: [
    ['fd', 'fd', 0],
    ['buffer', 'data', Buffer.alloc(1)],
  ],
  transmit: [
    ['fd', 'fd', 0],
    ['data', 'data', Buffer.from('x')],
  ],
  shutdownWrites: [['fd', 'fd', 0]],
  resetOnClose: [['fd', 'fd', 0]],
  copyMount: [
    ['sourcePidfd', 'fd', 0],
    ['sourcePath', 'text', '/x'],
    ['targetPidfd', 'fd', 0],
    ['targetPath', 'text', '/x'],
  ],
  addEntropy: [['data', 'data', Buffer.from('x')]],
  memfdCreate: [['name', 'text', 'x']],
  rewind: [['fd', 'fd', 0]],
  splice: [
    ['from', 'fd', 0],
    ['to', 'fd', 0],
    ['maxBytes', 'bytes', 1],
  ],
  sendFile: [
    ['to', 'fd', 0],
    ['file', 'fd', 0],
    ['maxBytes', 'bytes', 1],
  ],
  readAt: [
    ['fd', 'fd', 0],
    ['buffer', 'data', Buffer.alloc(1)],
    ['offset', 'bigint', 0n],
  ],
  writeAt: [
    ['fd', 'fd', 0],
    ['data', 'data', Buffer.alloc(1)],
    ['offset', 'bigint', 0n],
  ],
  punchHole: [
    ['fd', 'fd', 0],
    ['from', 'bigint', 0n],
    ['to', 'bigint', 1n],
  ],
  isReadable: [['fd', 'fd', 0]],
  filePosition: [['fd', 'fd', 0]],
  fileSize: [['fd', 'fd', 0]],
  openTerminalPeer: [['master', 'fd', 0]],
  watchWritable: [
    ['fd', 'fd', 0],
    ['onWritable', 'callback', () => {}],
  ],
  swapOn: [
    ['path', 'text', '/no/such/x'],
    ['flags', 'uint32', 0],
  ],
  growXfs: [
    ['path', 'text', '/no/such/x'],
    ['bytes', 'bigint', 1n],
  ],
  ueventReceive: [['fd', 'fd', 0]],
};
export const withoutArguments = ['vsockLocalCid', 'pipe', 'openPty', 'mallocTrim', 'socketPair', 'ueventOpen', 'inotifyOpen'];
export const promising = new Set([
  'vsockConnect',
  'mount',
  'umount',
  'pinNamespace',
  'openBeneath',
  'openInProcess',
  'openInRoot',
  'linkFd',
  'renameAt',
  'inotifyAdd',
  'socketIn',
  'connectSocket',
  'copyMount',
  'addEntropy',
  'swapOn',
  'growXfs',
]);
