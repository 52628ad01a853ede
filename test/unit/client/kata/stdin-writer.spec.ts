import assert from 'node:assert/strict';
import { StdinWriter } from '../../../../client/kata/stdin-writer.ts';

function recorder(options: { fail?: boolean } = {}) {
  const log: string[] = [];
  const writer = new StdinWriter({
    async write(data) {
      await new Promise((resolve) => setImmediate(resolve));
      if (options.fail) throw new Error('EPIPE');
      log.push(data.length > 10 ? String(data.length) : Buffer.from(data).toString());
    },
    async close() {
      log.push('close');
    },
  });
  return { log, writer };
}

describe('the input of a process', () => {
  it('is written in order, whoever waits for what', async () => {
    const { log, writer } = recorder();
    void writer.write('a');
    void writer.write('b');
    await writer.end();
    assert.deepEqual(log, ['a', 'b', 'close']);
  });

  it('is sent in pieces of 64 KiB, and an empty write is not sent: Kata would take it as the end', async () => {
    const { log, writer } = recorder();
    await writer.write(Buffer.alloc(150_000));
    await writer.write('');
    assert.deepEqual(log, ['65536', '65536', '18928']);
  });

  it('is closed once', async () => {
    const { log, writer } = recorder();
    await Promise.all([writer.end(), writer.end()]);
    await writer.end();
    assert.deepEqual(log, ['close']);
  });

  it('takes nothing after its end', async () => {
    const { writer } = recorder();
    await writer.end();
    await assert.rejects(writer.write('x'), { code: 'failed_precondition' });
  });

  it('tells a writer that the process reads no more, and still closes', async () => {
    const { log, writer } = recorder({ fail: true });
    await assert.rejects(writer.write('x'), /EPIPE/);
    await writer.end();
    assert.deepEqual(log, ['close']);
  });

  it('copies a source to its end and closes', async () => {
    const { log, writer } = recorder();
    await writer.pipeFrom(
      (async function* () {
        yield 'x';
        yield Buffer.from('y');
      })(),
    );
    assert.deepEqual(log, ['x', 'y', 'close']);
  });
});
