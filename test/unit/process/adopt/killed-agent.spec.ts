// Real bytes through real agents that get a real SIGKILL: input and output of one process, at the same time.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { prepareStdio } from '../../../../agent/process/stdio.ts';
import { newStdioKey } from '../../../../agent/process/stdio-store.ts';
import { Budget } from '../../../../agent/process/stream/budget.ts';
import { native } from '../../../../native/index.ts';
import { exitOf, spawn } from '../../native/fixture.ts';
import { pattern, Random } from '../stream/schedule.ts';
import { frame, frames } from './stream-frames.ts';

const AGENT = join(import.meta.dirname, 'stream-agent.ts');
const MIB = 1 << 20;
const BYTES = (process.env['BERTH_TEST_LONG'] ? 64 : 8) * MIB;
const DEATHS = process.env['BERTH_TEST_LONG'] ? 40 : 6;
const WINDOW_BYTES = 256 * 1024;

/** The client: it knows what it has and what was accepted, and nothing else survives an agent. */
class Client {
  readonly #hash = createHash('sha256');
  received = 0n;
  #accepted = 0n;
  ended = false;

  get digest(): string {
    return this.#hash.digest('hex');
  }

  /** Until the connection breaks, or the end. */
  async talk(connection: Socket, onStdinClosed: () => void, onProgress: () => void): Promise<void> {
    let sent = this.#accepted;
    connection.on('error', () => {});
    connection.write(frame('read', this.received));
    try {
      for await (const { kind, offset, data } of frames(connection)) {
        if (kind === 'data') {
          assert.equal(offset, this.received, 'it goes on where it was');
          this.#hash.update(data);
          this.received += BigInt(data.length);
          connection.write(frame('ack', this.received));
          onProgress();
        } else if (kind === 'accepted') {
          assert.ok(offset >= this.#accepted, 'what was accepted is lost');
          this.#accepted = offset;
          if (sent < offset) sent = offset;
          while (sent < BYTES && sent < offset + BigInt(WINDOW_BYTES)) {
            const part = pattern(Number(sent), Math.min(64 * 1024, BYTES - Number(sent)));
            connection.write(frame('write', sent, part));
            sent += BigInt(part.length);
          }
          if (offset === BigInt(BYTES)) connection.write(frame('close', offset));
        } else if (kind === 'stdin-closed') onStdinClosed();
        else if (kind === 'end') {
          assert.equal(offset, this.received);
          this.ended = true;
          return;
        }
      }
    } catch (error) {
      if (!['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}

describe('a process whose agent is killed while it streams', function () {
  this.timeout('5m');

  it('reads its input and is read from to the last byte, exactly once', async () => {
    const door = native();
    const random = new Random(Number(process.env['BERTH_SEED'] ?? Date.now() % 1e9));
    const kept = new Map<string, number[]>();
    const key = newStdioKey();
    const prepared = await prepareStdio({
      terminal: false,
      budget: new Budget(1 << 25),
      output: { stdout: { history: 64 * 1024 } },
      runtimeDir: '/nonexistent',
      pipeSizeBytes: 0,
      keep: {
        key,
        store: { put: async (k, fds) => void kept.set(k.toString('hex'), [...fds]), get: async () => [], delete: async () => {} },
      },
    });
    const cat = exitOf(spawn('/bin/cat', [], { fds: [prepared.childFds[0], prepared.childFds[1], -1] }));
    for (const fd of prepared.childFds) door.close(fd);
    const whole = kept.get(key.toString('hex'))!;
    const [stdinEnd] = [...kept.values()].find((fds) => fds.length === 1)!;

    const client = new Client();
    let deaths = 0;
    let held = true;
    while (!client.ended) {
      const [ours, theirs] = door.socketPair();
      const fds = [-1, 1, 2, theirs, held ? stdinEnd! : -1, ...whole];
      const env = [`PATH=${process.env['PATH']}`, ...(held ? [] : ['STDIN_CLOSED=1'])];
      const agent = spawn(process.execPath, [AGENT], { fds, env });
      const gone = exitOf(agent);
      door.close(theirs);
      const connection = new Socket({ fd: ours });
      const killAt = client.received + BigInt(random.below(Math.ceil((1.5 * BYTES) / DEATHS)));
      let armed = deaths < DEATHS;
      let kill: NodeJS.Timeout | undefined;
      const closeStdin = () => {
        if (held) door.close(stdinEnd!);
        held = false;
      };
      await client.talk(connection, closeStdin, () => {
        if (!armed || client.received < killAt) return;
        armed = false;
        deaths++;
        kill = setTimeout(() => door.pidfdSendSignal(agent.pidfd, 9), random.below(20));
      });
      // The end may have come first, and the agent's pidfd goes with it.
      clearTimeout(kill);
      connection.destroy();
      if (client.ended) door.pidfdSendSignal(agent.pidfd, 9);
      await gone;
    }
    assert.deepEqual(await cat, { pid: (await cat).pid, code: 0, coreDumped: false });
    for (const fd of whole) door.close(fd);
    const expected = createHash('sha256');
    for (let at = 0; at < BYTES; at += MIB) expected.update(pattern(at, MIB));
    assert.equal(client.received, BigInt(BYTES));
    assert.equal(client.digest, expected.digest('hex'));
    assert.ok(deaths > 0);
    console.log(`      ${BYTES / MIB} MiB each way, ${deaths} agents killed`);
  });
});
