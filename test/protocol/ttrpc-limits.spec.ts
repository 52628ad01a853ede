// What one ttrpc client can make the agent hold, and that it has a bound.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { ttrpc } from '#proto/ttrpc.js';
import {
  MAX_CALLS_PER_CONNECTION,
  MAX_MESSAGE_BYTES,
  MAX_REQUEST_BYTES_PER_CONNECTION,
  MAX_UNSENT_BYTES,
  MAX_UNSENT_BYTES_EVER,
} from '../../agent/rpc/limits.ts';
import { until } from './fixture-server.ts';
import { FreshConnection, frame, replies, request } from './ttrpc-by-hand.ts';

describe('the bounds of a ttrpc connection', () => {
  const on = new FreshConnection();

  it('bounds the calls that wait, and lets Check in all the same', async () => {
    const calls = Array.from({ length: MAX_CALLS_PER_CONNECTION }, (_, i) => request(2 * i + 1, 'Block'));
    on.socket.write(Buffer.concat(calls));
    await until(() => on.server.seen.blocked === MAX_CALLS_PER_CONNECTION, 'the calls wait');
    const next = 2 * MAX_CALLS_PER_CONNECTION + 1;
    const check = ttrpc.Request.encode({ service: 'grpc.Health', method: 'Check' }).finish();
    on.socket.write(Buffer.concat([request(next, 'Block'), frame(next + 2, check)]));
    const got = await on.answers(2);
    assert.deepEqual([got[0]?.streamId, got[0]?.code], [next, 8]);
    assert.match(got[0]?.message ?? '', new RegExp(`limit of ${MAX_CALLS_PER_CONNECTION} calls-in-flight`));
    assert.deepEqual([got[1]?.streamId, got[1]?.code], [next + 2, 0]);
  });

  it('bounds the bytes that waiting calls hold', async () => {
    const big = Buffer.alloc(MAX_MESSAGE_BYTES - 100);
    const room = Math.floor(MAX_REQUEST_BYTES_PER_CONNECTION / big.length);
    for (let i = 0; i <= room; i++) on.socket.write(request(2 * i + 1, 'Block', big));
    const [answer] = await on.answers(1);
    assert.deepEqual([answer?.streamId, answer?.code], [2 * room + 1, 8]);
    assert.match(answer?.message ?? '', new RegExp(`limit of ${MAX_REQUEST_BYTES_PER_CONNECTION} request-bytes-in-flight`));
    await on.answersStill();
  });

  it('gives a bound free again when calls end', async () => {
    const big = Buffer.alloc(MAX_MESSAGE_BYTES - 100);
    for (let i = 0; i < 20; i++) on.socket.write(request(2 * i + 1, 'Echo', big));
    assert.ok((await on.answers(20)).every(({ code }) => code === 0));
  });

  it('stops reading from a client that does not take its answers, and goes on when it does', async () => {
    const idle = await on.server.socket();
    const count = 300;
    const zeros = 128 * 1024;
    let written = 0;
    for (let i = 0; i < count; i++) {
      idle.write(request(2 * i + 1, 'Zeros', String(zeros)), () => written++);
      await new Promise(setImmediate);
    }
    const finished = () => on.server.finished.length;
    await sleep(100);
    const whileStuck = finished();
    assert.ok(whileStuck * zeros < 4 * MAX_UNSENT_BYTES, `${whileStuck} answers were made for nobody`);
    const got = replies(idle);
    await until(() => got.length === count, 'all answers once the client reads');
    assert.equal(written, count);
  });

  it('turns answers into errors when a client has let too much pile up, and keeps the connection', async () => {
    const idle = await on.server.socket();
    const count = 40;
    idle.write(Buffer.concat(Array.from({ length: count }, (_, i) => request(2 * i + 1, 'Zeros', String(4_000_000)))));
    await until(() => on.server.finished.length === count, 'all calls have ended');
    const refused = on.server.finished.filter(({ error }) => error?.code === 'resource_exhausted').length;
    assert.ok(refused >= count - MAX_UNSENT_BYTES_EVER / 4_000_000 - 2 && refused < count, `${refused} refused`);
    const got = replies(idle);
    await until(() => got.length === count, 'all answers once the client reads');
    assert.equal(got.filter(({ code }) => code === 8).length, refused);
  });
});
