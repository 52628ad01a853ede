import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { StdinSink } from '../../../agent/process/stdin-sink.ts';
import { socketFromFd } from '../../../agent/transport/pipe-handle.ts';
import { native } from '../../../native/index.ts';

describe('standard input', () => {
  it('ends for its reader when it is closed, after what was written', async () => {
    const [readEnd, writeEnd] = native().pipe();
    const sink = new StdinSink(socketFromFd(writeEnd), { terminal: false });
    await sink.write(Buffer.from('last words'));
    sink.close();
    const chunks: Buffer[] = [];
    for await (const chunk of createReadStream('', { fd: readEnd })) chunks.push(chunk as Buffer);
    assert.equal(Buffer.concat(chunks).toString(), 'last words');
  });
});
