// Whatever JavaScript passes: a TypeError that names the argument, and never a crash or a half-done call.
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { native } from '../../../native/index.ts';
import { openFds } from './fixture.ts';

const angry = {
  valueOf() {
    throw new Error('valueOf was called');
  },
  toString() {
    throw new Error('toString was called');
  },
};
const never = fc.constantFrom<unknown>(
  null,
  true,
  Symbol('x'),
  {},
  [],
  [1],
  () => 1,
  angry,
  new Date(),
  new Map(),
  /x/,
  Number.NaN,
);

type Kind = 'fd' | 'uint32' | 'uint16' | 'bytes' | 'bigint' | 'text' | 'texts' | 'ints' | 'callback' | 'data' | 'object';
/** For each kind of argument, values that are not of it. undefined stands for an argument left out. */
const wrong: Record<Kind, fc.Arbitrary<unknown>> = {
  fd: fc.oneof(
    never,
    fc.string(),
    fc.bigInt(),
    fc.constantFrom(undefined, -1, 1.5, 2 ** 31, Number.POSITIVE_INFINITY, -(2 ** 53)),
  ),
  uint32: fc.oneof(never, fc.string(), fc.bigInt(), fc.constantFrom(undefined, -1, 0.1, 2 ** 32, Number.NEGATIVE_INFINITY)),
  uint16: fc.oneof(never, fc.string(), fc.bigInt(), fc.constantFrom(undefined, -1, 0.1, 2 ** 16)),
  bytes: fc.oneof(never, fc.string(), fc.bigInt(), fc.constantFrom(undefined, 0, -1, 2 ** 31)),
  bigint: fc.oneof(never, fc.string(), fc.double(), fc.constantFrom(undefined, 2n ** 63n, -(2n ** 63n) - 1n, 2n ** 200n)),
  text: fc.oneof(never, fc.double(), fc.bigInt(), fc.constantFrom(undefined, 'a\0b', '\0')),
  texts: fc.oneof(
    never.filter((v) => !Array.isArray(v) || v.length > 0),
    fc.string(),
    fc.constantFrom(undefined, [1], ['a', null], ['a\0'], Array(3), { length: 1, 0: 'a' }),
  ),
  ints: fc.oneof(
    never.filter((v) => !Array.isArray(v)),
    fc.string(),
    fc.constantFrom(undefined, [-2], [1.5], ['1'], Array(3), new Int32Array(2)),
  ),
  callback: fc.oneof(
    never.filter((v) => typeof v !== 'function'),
    fc.string(),
    fc.double(),
    fc.constantFrom(undefined),
  ),
  data: fc.oneof(
    never,
    fc.string(),
    fc.constantFrom(undefined, 'text', new Uint16Array(4), new DataView(new ArrayBuffer(4)), new ArrayBuffer(4)),
  ),
  object: fc.oneof(fc.constantFrom<unknown>(undefined, null, true, Symbol('x'), Number.NaN), fc.string(), fc.double()),
};

const f = () => {};
/** Each verb with the names and kinds of its arguments, and a call that would be right. */
const verbs: Record<string, [name: string, kind: Kind, right: unknown][]> = {
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
  watchGone: [
    ['pidfd', 'fd', 1],
    ['onGone', 'callback', f],
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
  setHostname: [['name', 'text', 'x']],
  setTimeOfDay: [
    ['seconds', 'bigint', -1n],
    ['microseconds', 'uint32', 0],
  ],
  reboot: [['command', 'uint32', 1]],
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
  reopen: [['fd', 'fd', 0]],
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
const withoutArguments = ['vsockLocalCid', 'pipe', 'openPty', 'sync', 'mallocTrim', 'socketPair', 'ueventOpen'];
const promising = new Set([
  'vsockConnect',
  'mount',
  'umount',
  'pinNamespace',
  'openBeneath',
  'openInProcess',
  'socketIn',
  'connectSocket',
  'copyMount',
  'addEntropy',
  'swapOn',
  'growXfs',
]);

const fields: Record<string, Kind> = {
  file: 'text',
  args: 'texts',
  env: 'texts',
  fds: 'ints',
  cwd: 'text',
  newSession: 'callback',
};
const goodSpec = { file: '/bin/true', args: ['true'], env: [], fds: [] };

describe('native arguments', () => {
  it('covers every verb the addon exports', () => {
    assert.deepEqual(Object.keys(native()).sort(), [...Object.keys(verbs), ...withoutArguments].sort());
  });

  for (const [verb, parameters] of Object.entries(verbs)) {
    const call = (args: unknown[]) => (native() as unknown as Record<string, (...args: unknown[]) => unknown>)[verb]!(...args);
    parameters.forEach(([name, kind], at) => {
      it(`${verb} refuses a "${name}" that is no ${kind}`, async () => {
        const before = openFds().size;
        await fc.assert(
          fc.asyncProperty(wrong[kind], async (value) => {
            if ((name === 'allowedCid' || verb === 'socketIn') && value === undefined) return; // means any, or ours
            const args = parameters.map(([, , right]) => right).with(at, value);
            const refusal = {
              name: 'TypeError',
              code: 'ERR_INVALID_ARG_VALUE',
              message: new RegExp(`^The "${name}(\\[\\d\\])?" argument must be `),
            };
            if (promising.has(verb)) await assert.rejects(call(args) as Promise<unknown>, refusal);
            else assert.throws(() => call(args), refusal);
          }),
          { numRuns: 40 },
        );
        assert.equal(openFds().size, before);
      });
    });
  }

  for (const [field, kind] of Object.entries(fields)) {
    it(`spawn refuses a spec whose "${field}" is wrong`, async () => {
      await fc.assert(
        fc.asyncProperty(wrong[kind], async (value) => {
          if (value === undefined && (field === 'cwd' || field === 'newSession')) return;
          if (field === 'newSession' && typeof value === 'boolean') return;
          const spec = { ...goodSpec, [field]: value } as never;
          assert.throws(() => native().spawn(spec), {
            name: 'TypeError',
            message: new RegExp(`^The "${field}(\\[\\d\\])?" argument`),
          });
        }),
        { numRuns: 60 },
      );
    });
  }

  it('spawn refuses a relative program, no arguments at all, and more fds or strings than its bounds', () => {
    const cases: [object, RegExp][] = [
      [{ file: 'true' }, /"file" argument must be an absolute path/],
      [{ file: '' }, /"file"/],
      [{ args: [] }, /"args"/],
      [{ cwd: '' }, /"cwd"/],
      [{ fds: Array(257).fill(-1) }, /"fds" argument must be an array of at most 256/],
      [{ args: Array(65_537).fill('') }, /"args" argument must be an array of at most 65536/],
      [{ env: new Array(2 ** 32 - 1) }, /"env"/],
    ];
    for (const [change, message] of cases) {
      assert.throws(() => native().spawn({ ...goodSpec, ...change } as never), { name: 'TypeError', message });
    }
  });
});
