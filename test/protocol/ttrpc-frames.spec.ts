// ttrpc as bytes: sessions cut anywhere, malformed frames, stream ids, oversize, deadlines, clients that vanish.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { ttrpc } from '#proto/ttrpc.js';
import { MAX_MESSAGE_BYTES } from '../../agent/rpc/limits.ts';
import { HEADER_BYTES, writeHeader } from '../../agent/rpc/ttrpc/frame.ts';
import { until } from './fixture-server.ts';
import { SERVICE } from './fixture-service.ts';
import { FreshConnection, frame, type Reply, replies, request } from './ttrpc-by-hand.ts';

describe('a ttrpc connection', () => {
  const on = new FreshConnection();

  const session = Buffer.concat([
    request(1, 'Echo', 'one'),
    request(3, 'EchoNow', 'two'),
    frame(5, new Uint8Array(), 3),
    request(7, 'Missing'),
  ]);
  const summary = (list: Reply[]) =>
    [...list].sort((a, b) => a.streamId - b.streamId).map(({ streamId, code, payload }) => [streamId, code, payload]);
  const expected = [
    [1, 0, 'one'],
    [3, 0, 'two'],
    [7, 12, ''],
  ];

  it('gives the same answers however a session is cut in two', async () => {
    for (let cut = 1; cut < session.length; cut++) {
      const each = await on.server.socket();
      const got = replies(each);
      each.write(session.subarray(0, cut));
      await new Promise(setImmediate);
      each.write(session.subarray(cut));
      await until(() => got.length === 3, `answers with a cut at ${cut}`);
      assert.deepEqual(summary(got), expected, `cut at ${cut}`);
      each.destroy();
    }
  });

  it('gives the same answers when a session comes byte by byte', async () => {
    for (const byte of session) {
      on.socket.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    assert.deepEqual(summary(await on.answers(3)), expected);
  });

  it('answers many requests that come in one piece', async () => {
    const count = 2_000;
    on.socket.write(
      Buffer.concat(Array.from({ length: count }, (_, i) => request(2 * i + 1, i % 2 ? 'Echo' : 'EchoNow', String(i)))),
    );
    const got = await on.answers(count);
    assert.deepEqual(new Set(got.map(({ streamId, payload }) => `${streamId} ${payload}`)).size, count);
    assert.ok(got.every(({ streamId, payload }) => streamId === 2 * Number(payload) + 1));
  });

  it('sends the frame of an answer as the Rust agent does', async () => {
    const raw = await on.server.socket();
    const chunks: Buffer[] = [];
    raw.on('data', (chunk) => chunks.push(chunk as Buffer));
    raw.write(request(9, 'Echo', 'ab'));
    await until(() => Buffer.concat(chunks).length >= 16, 'the answer');
    assert.equal(Buffer.concat(chunks).toString('hex'), `00000006${'00000009'}0200${'0a00'}${'1202'}6162`);
  });

  const REFUSALS: readonly { title: string; bytes: Buffer; code: number; text: RegExp }[] = [
    { title: 'an even stream id', bytes: request(2, 'Echo'), code: 3, text: /^stream id must be odd$/ },
    { title: 'stream id 0', bytes: request(0, 'Echo'), code: 3, text: /^stream id must be odd$/ },
    {
      title: 'a service that does not exist',
      bytes: request(1, 'Echo', '', { service: 'a.B' }),
      code: 3,
      text: /^a\.B service does not exist$/,
    },
    { title: 'a method that does not exist', bytes: request(1, 'Nope'), code: 12, text: /Nope method is not implemented/ },
    { title: 'a method that only gRPC has', bytes: request(1, 'Count'), code: 12, text: /Count method is not implemented/ },
    {
      title: 'a stream that is to stay open',
      bytes: frame(1, ttrpc.Request.encode({ service: SERVICE, method: 'Echo' }).finish(), 1, 2),
      code: 12,
      text: /streams are not supported/,
    },
    {
      title: 'an envelope that is not protobuf',
      bytes: frame(1, Buffer.from([0xff, 0xff, 0xff])),
      code: 3,
      text: /^malformed ttrpc request/,
    },
    { title: 'an empty envelope', bytes: frame(1, new Uint8Array()), code: 3, text: / service does not exist$/ },
    {
      title: 'a payload that is not its message',
      bytes: request(1, 'Strict', Buffer.from([0x0a, 9])),
      code: 3,
      text: /^Strict: malformed request/,
    },
  ];
  for (const { title, bytes, code, text } of REFUSALS) {
    it(`refuses ${title} and goes on`, async () => {
      on.socket.write(bytes);
      const [answer] = await on.answers(1);
      assert.equal(answer?.code, code);
      assert.match(answer?.message ?? '', text);
      await on.answersStill();
    });
  }

  it('refuses a stream id that is in use, and answers the first call all the same', async () => {
    on.socket.write(Buffer.concat([request(1, 'Late', '40'), request(1, 'Echo', 'again')]));
    const got = await on.answers(2);
    assert.deepEqual([got[0]?.code, got[0]?.message], [3, 'stream id 1 is in use']);
    assert.deepEqual([got[1]?.code, got[1]?.payload], [0, '40']);
  });

  it('takes a stream id again once its call has ended', async () => {
    on.socket.write(request(1, 'Echo', 'a'));
    await on.answers(1);
    on.socket.write(request(1, 'Echo', 'b'));
    assert.equal((await on.answers(2))[1]?.payload, 'b');
  });

  it('takes the flag that says nothing will follow', async () => {
    on.socket.write(
      frame(1, ttrpc.Request.encode({ service: SERVICE, method: 'Echo', payload: Buffer.from('x') }).finish(), 1, 1),
    );
    assert.equal((await on.answers(1))[0]?.payload, 'x');
  });

  it('ignores frames that are no requests', async () => {
    for (const type of [0, 2, 3, 4, 255]) on.socket.write(frame(1, Buffer.from('whatever'), type));
    await on.answersStill();
    assert.equal(on.seen.length, 1);
  });

  it('skips a body above the limit, answers on its stream and goes on', async () => {
    const length = MAX_MESSAGE_BYTES + 1;
    const header = Buffer.alloc(HEADER_BYTES);
    writeHeader(header, length, 11, 1);
    on.socket.write(header);
    const [answer] = await on.answers(1);
    assert.deepEqual(
      [answer?.streamId, answer?.code, answer?.message],
      [11, 3, 'message length 4194305 exceed maximum message size of 4194304'],
    );
    on.socket.write(Buffer.alloc(length, 1));
    await on.answersStill();
  });

  it('closes a connection whose length no message can have', async () => {
    on.socket.write(request(1, 'Echo', 'fine'));
    await on.answers(1);
    const closed = new Promise((resolve) => on.socket.once('close', resolve));
    on.socket.write(Buffer.from([1, 0, 0, 0, 0, 0, 0, 1, 1, 0]));
    await closed;
    assert.ok(on.server.lines.some(({ message }) => message === 'connection closed: not ttrpc'));
  });

  it('answers DEADLINE_EXCEEDED with the text timeout once timeout_nano has passed', async () => {
    on.socket.write(request(1, 'Block', '', { timeoutNano: 20_000_000n }));
    const [answer] = await on.answers(1);
    assert.deepEqual([answer?.code, answer?.message], [4, 'timeout']);
    assert.equal(on.server.seen.aborts[0]?.code, 'deadline_exceeded');
    await sleep(20);
    assert.equal(on.seen.length, 1, 'one answer only');
  });

  it('forgets a deadline once its call has ended', async () => {
    on.socket.write(request(1, 'Late', '1', { timeoutNano: 30_000_000n }));
    await on.answers(1);
    await sleep(60);
    await on.answersStill();
    assert.equal(on.seen.length, 2);
  });

  for (const timeoutNano of [0n, -1n, 2n ** 63n - 1n]) {
    it(`does not end a call early for a timeout_nano of ${timeoutNano}`, async () => {
      on.socket.write(request(1, 'Late', '20', { timeoutNano }));
      assert.deepEqual(
        (await on.answers(1)).map(({ code, payload }) => [code, payload]),
        [[0, '20']],
      );
    });
  }

  for (const { title, leave } of [
    { title: 'closes', leave: () => on.socket.end() },
    { title: 'vanishes', leave: () => on.socket.destroy() },
    {
      title: 'vanishes inside a frame',
      leave: () => on.socket.write(request(9, 'Echo', 'x').subarray(0, 15), () => on.socket.destroy()),
    },
  ]) {
    it(`tells every handler when its client ${title}`, async () => {
      for (let i = 0; i < 10; i++) on.socket.write(request(2 * i + 1, 'Block'));
      await until(() => on.server.seen.blocked === 10, 'the calls wait');
      leave();
      await until(() => on.server.seen.aborts.length === 10, 'the handlers are told');
      assert.ok(on.server.seen.aborts.every(({ code }) => code === 'cancelled'));
      await until(() => on.server.server.connections === 0, 'the connection is gone');
    });
  }

  it('survives any bytes, and other clients do not notice', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.boolean(), async (bytes, valid) => {
        const each = await on.server.socket();
        each.write(Buffer.concat([Buffer.from([0]), valid ? frame(1, bytes).subarray(1) : bytes]));
        each.end();
        each.resume();
        await new Promise((resolve) => each.once('close', resolve));
      }),
      { numRuns: 300 },
    );
    await on.answersStill();
    assert.deepEqual(
      on.server.lines.filter(({ level }) => level === 'error'),
      [],
    );
  });
});
