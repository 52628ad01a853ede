// Run inside the guest by its own Node: what the agent's figures are held against. An echo and a copy with no protocol on
// them, and a clock for programs, each on a vsock port of its own. This text is handed over as it is, so it imports nothing
// of ours; arguments: the three ports.
import { createRequire } from 'node:module';
import net from 'node:net';

/** @type {import('../../../native/index.ts').Native} */
const berth = createRequire('/usr/lib/berth/')('/usr/lib/berth/berth.node');
const CHUNK = Buffer.alloc(256 * 1024);
const [echoPort = 0, copyPort = 0, clockPort = 0] = process.argv.slice(1).map(Number);

/** agent/transport/pipe-handle.ts says why. */
const model = /** @type {any} */ (new net.Socket({ fd: berth.socketPair()[0] }));
const Pipe = model._handle.constructor;

/** @param {number} port @param {(socket: net.Socket) => void} onSocket */
function serve(port, onSocket) {
  berth.vsockAccept(berth.vsockListen(0xffffffff, port, 16), undefined, (fd) => {
    const handle = new Pipe(0);
    handle.open(fd);
    const socket = new net.Socket(/** @type {any} */ ({ handle, readable: true, writable: true }));
    socket.on('error', () => socket.destroy());
    onSocket(socket);
  });
}

/** @param {net.Socket} socket @param {number} bytes */
function send(socket, bytes) {
  while (bytes > 0) {
    const chunk = bytes < CHUNK.length ? CHUNK.subarray(0, bytes) : CHUNK;
    bytes -= chunk.length;
    if (!socket.write(chunk)) return void socket.once('drain', () => send(socket, bytes));
  }
}

/** Milliseconds from spawn to exit. @param {string[]} args @returns {Promise<number>} */
function run(args) {
  const from = performance.now();
  const env = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'];
  const { pidfd } = berth.spawn({ file: args[0] ?? '', args, env, fds: [-1, -1, 2] });
  return new Promise((resolve, reject) => {
    berth.watchChild(pidfd, ({ code, signal }) => {
      berth.close(pidfd);
      if (code === 0) resolve(performance.now() - from);
      else reject(new Error(`${args.join(' ')} ended: ${code ?? signal}`));
    });
  });
}

serve(echoPort, (socket) => socket.on('data', (data) => socket.write(data)));
serve(copyPort, (socket) => socket.on('data', (data) => send(socket, Number(data))));
serve(clockPort, (socket) =>
  socket.on('data', async (data) => {
    const { args, count } = JSON.parse(String(data));
    try {
      const samples = [];
      while (samples.length < count) samples.push(await run(args));
      socket.write(`${JSON.stringify(samples)}\n`);
    } catch (error) {
      socket.write(`${JSON.stringify(String(error))}\n`);
    }
  }),
);
console.log('ready');
