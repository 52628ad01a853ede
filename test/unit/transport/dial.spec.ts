// Dialling, against a stand-in for a VMM's Unix socket.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, type Code } from '../../../agent/errors.ts';
import { dial } from '../../../agent/transport/dial.ts';
import type { Endpoint } from '../../../agent/transport/endpoint.ts';

/** Answers a connection; `heard` has all it has said so far. */
type Answer = (socket: net.Socket, heard: string) => unknown;

describe('dialling', () => {
  let folder: string;
  let vmm: net.Server | undefined;
  const open: net.Socket[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'berth-dial-'));
  });
  afterEach(async () => {
    for (const socket of open.splice(0)) socket.destroy();
    vmm?.close();
    vmm = undefined;
    await rm(folder, { recursive: true });
  });

  async function startVmm(answer: Answer): Promise<Endpoint> {
    const file = path.join(folder, 'vmm');
    vmm = net.createServer((socket) => {
      let heard = '';
      open.push(socket);
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        heard += chunk.toString('latin1');
        void answer(socket, heard);
      });
    });
    await new Promise<void>((resolve) => vmm!.listen(file, resolve));
    return { kind: 'hvsock', path: file, port: 1024 };
  }

  const refusal = async (endpoint: Endpoint, options = {}): Promise<AgentError> => {
    const error = await dial(endpoint, options).then(
      () => assert.fail('it connected'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof AgentError, String(error));
    return error;
  };
  const code = async (endpoint: Endpoint, options = {}): Promise<Code> => (await refusal(endpoint, options)).code;

  async function readSome(socket: net.Socket, length: number): Promise<string> {
    let text = '';
    for await (const chunk of socket) {
      text += chunk.toString('latin1');
      if (text.length >= length) break;
    }
    return text;
  }

  it('asks a VMM for the port in the words of Firecracker', async () => {
    let heard = '';
    const endpoint = await startVmm((socket, text) => {
      heard = text;
      socket.write('OK 1073741824\n');
    });
    (await dial(endpoint)).destroy();
    assert.equal(heard, 'CONNECT 1024\n');
  });

  it('loses no byte that comes right behind the answer', async () => {
    const endpoint = await startVmm((socket) => socket.write('OK 5\nfirst bytes'));
    const socket = await dial(endpoint);
    assert.equal(await readSome(socket, 11), 'first bytes');
  });

  it('reads an answer that comes byte by byte, and what follows it', async () => {
    const endpoint = await startVmm(async (socket) => {
      for (const byte of 'OK 1073741824\nab') {
        socket.write(byte);
        await sleep(1);
      }
    });
    assert.equal(await readSome(await dial(endpoint), 2), 'ab');
  });

  it('says that nobody listens when the VMM closes the connection', async () => {
    const endpoint = await startVmm((socket) => socket.destroy());
    const error = await refusal(endpoint);
    assert.equal(error.code, 'unavailable');
    assert.equal(error.fields['endpoint'], `hvsock://${folder}/vmm:1024`);
  });

  it('refuses an answer that is not OK', async () => {
    const endpoint = await startVmm((socket) => socket.write('ERR no\n'));
    const error = await refusal(endpoint);
    assert.equal(error.code, 'unavailable');
    assert.match(error.message, /ERR no/);
  });

  it('refuses an answer without an end', async () => {
    const endpoint = await startVmm((socket) => socket.write('OK'.padEnd(100, '1')));
    assert.equal(await code(endpoint), 'unavailable');
  });

  it('gives up a VMM that never answers', async () => {
    const endpoint = await startVmm(() => {});
    const started = performance.now();
    assert.equal(await code(endpoint, { timeoutMs: 50 }), 'deadline_exceeded');
    assert.ok(performance.now() - started < 2_000);
  });

  it('stops when its signal is aborted', async () => {
    const endpoint = await startVmm(() => {});
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 20);
    assert.equal(await code(endpoint, { signal: abort.signal }), 'cancelled');
    assert.equal(await code(endpoint, { signal: AbortSignal.abort() }), 'cancelled');
  });

  it('is unavailable where there is no socket, and where nobody listens on it', async () => {
    assert.equal(await code({ kind: 'unix', path: path.join(folder, 'none') }), 'unavailable');
    assert.equal(await code({ kind: 'unix', path: '\0berth-nobody-here' }), 'unavailable');
  });
});
