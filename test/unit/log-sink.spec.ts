import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createSink, MAX_PENDING_BYTES, type WriteSome } from '../../agent/log-sink.ts';

const lostLine = (count: number) => `lost ${count}`;
const failure = (code: string) => Object.assign(new Error(code), { code });

/** A descriptor that takes bytes only while `open`; counts what it got. */
function slowReader() {
  let taken = '';
  let waiting: (() => void) | undefined;
  const reader = {
    open: false,
    answer: undefined as Error | undefined,
    longest: 0,
    atOnce: Number.POSITIVE_INFINITY,
    writes: 0,
    get text() {
      return taken;
    },
    resume() {
      reader.open = true;
      waiting?.();
      waiting = undefined;
    },
  };
  const write: WriteSome = (bytes, done) => {
    reader.writes++;
    reader.longest = Math.max(reader.longest, bytes.length);
    const take = () => {
      if (reader.answer) return done(reader.answer, 0);
      const count = Math.min(bytes.length, reader.atOnce);
      taken += bytes.subarray(0, count).toString();
      return done(null, count);
    };
    if (reader.open) setImmediate(take);
    else waiting = () => setImmediate(take);
  };
  return { reader, write };
}

describe('the sink of log lines', () => {
  it('writes lines in order, several in one write', async () => {
    const { reader, write } = slowReader();
    reader.open = true;
    const sink = createSink(write, lostLine);
    for (let at = 0; at < 100; at++) sink.write(`line ${at}`);
    assert.equal(await sink.drain(1000), true);
    assert.equal(reader.text, Array.from({ length: 100 }, (_, at) => `line ${at}\n`).join(''));
    assert.equal(reader.writes, 2);
  });

  it('goes on where a short write ended', async () => {
    const { reader, write } = slowReader();
    Object.assign(reader, { open: true, atOnce: 3 });
    const sink = createSink(write, lostLine);
    sink.write('first line');
    sink.write('second line');
    await sink.drain(1000);
    assert.equal(reader.text, 'first line\nsecond line\n');
  });

  it('drops the oldest lines when nobody reads, and tells how many once somebody does', async () => {
    const { reader, write } = slowReader();
    const sink = createSink(write, lostLine);
    const line = 'x'.repeat(1023);
    sink.write('in flight');
    for (let at = 0; at < 3000; at++) sink.write(line);
    const kept = MAX_PENDING_BYTES / 1024;
    assert.equal(sink.lost, 3000 - kept);
    reader.resume();
    assert.equal(await sink.drain(5000), true);
    const lines = reader.text.trimEnd().split('\n');
    assert.equal(lines[0], 'in flight');
    assert.equal(lines[1], `lost ${3000 - kept}`);
    assert.equal(lines.length, 2 + kept);
    assert.ok(reader.longest <= 65_536 + 64, `${reader.longest} bytes in one write`);
  });

  it('tries again after EAGAIN and loses nothing', async () => {
    const { reader, write } = slowReader();
    Object.assign(reader, { open: true, answer: failure('EAGAIN') });
    const sink = createSink(write, lostLine);
    sink.write('patient');
    await sleep(40);
    assert.equal(reader.text, '');
    reader.answer = undefined;
    assert.equal(await sink.drain(2000), true);
    assert.equal(reader.text, 'patient\n');
    assert.equal(sink.lost, 0);
  });

  it('counts what was lost to a closed reader, and tells the next one', async () => {
    const { reader, write } = slowReader();
    Object.assign(reader, { open: true, answer: failure('EPIPE') });
    const sink = createSink(write, lostLine);
    sink.write('gone');
    assert.equal(await sink.drain(1000), true);
    const tries = reader.writes;
    await sleep(30);
    assert.equal(reader.writes, tries, 'kept trying with nothing to say');
    reader.answer = undefined;
    sink.write('back');
    await sink.drain(1000);
    assert.equal(reader.text, 'lost 1\nback\n');
  });

  it('gives up waiting when its time is over', async () => {
    const { write } = slowReader();
    const sink = createSink(write, lostLine);
    sink.write('stuck');
    const startedAt = performance.now();
    assert.equal(await sink.drain(50), false);
    assert.ok(performance.now() - startedAt < 1000);
  });

  it('holds up neither the loop nor the exit of a process whose console nobody reads', async () => {
    const program = fileURLToPath(new URL('../fixtures/agent/stuck-console.ts', import.meta.url));
    // `inherit` from a pipe that sleep holds open and never reads.
    const child = spawn('sh', ['-c', '{ "$0" "$1"; echo "code $?" >&2; } | sleep 4', process.execPath, program], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const startedAt = performance.now();
    let said = '';
    for await (const chunk of child.stderr) {
      said += chunk;
      if (said.includes('code')) break;
    }
    const tookMs = performance.now() - startedAt;
    child.kill();
    await once(child, 'exit').catch(() => {});
    assert.match(said, /turns \d+ lost [1-9]\d*\ncode 7\n/);
    assert.ok(tookMs < 3500, `exit took ${tookMs} ms`);
    assert.ok(Number(/turns (\d+)/.exec(said)?.[1]) > 20, said);
  });
});
