import assert from 'node:assert/strict';
import { AgentError, hasCode } from '../../../agent/errors.ts';
import { guarded } from '../../../agent/rpc/guard.ts';
import { lazyMethods } from '../../../agent/rpc/lazy-methods.ts';
import type { CallContext, Guard, UnaryMethod } from '../../../agent/rpc/service.ts';

const call = {} as CallContext;
const text = {
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
  encode: (message: string) => ({ finish: () => Buffer.from(message) }),
};
const shout: UnaryMethod<string, string> = {
  kind: 'unary',
  service: 's.S',
  name: 'Shout',
  request: text,
  response: text,
  handle: (message) => message.toUpperCase(),
};

describe('a service that is loaded at its first call', () => {
  it('is not loaded before, and then decodes, handles and encodes as it would have', async () => {
    let loads = 0;
    const [lazy] = lazyMethods({ 's.S': ['Shout'] }, async () => {
      loads++;
      return [shout];
    });
    assert.equal(loads, 0);
    assert.equal(Buffer.from(await lazy!.handle(Buffer.from('hi'), call)).toString(), 'HI');
    await lazy!.handle(Buffer.from('again'), call);
    assert.equal(loads, 1);
  });

  it('is tried again after a failure to load', async () => {
    let loads = 0;
    const [lazy] = lazyMethods({ 's.S': ['Shout'] }, async () => {
      if (loads++ === 0) throw new Error('no memory');
      return [shout];
    });
    await assert.rejects(async () => lazy!.handle(Buffer.from(''), call), /no memory/);
    assert.equal(Buffer.from(await lazy!.handle(Buffer.from('hi'), call)).toString(), 'HI');
  });

  it('says so when a name was promised that is not there', async () => {
    const [lazy] = lazyMethods({ 's.S': ['Whisper'] }, async () => [shout]);
    await assert.rejects(
      async () => lazy!.handle(Buffer.from(''), call),
      (error) => hasCode(error, 'internal'),
    );
  });
});

describe('a guard before a service that is loaded later', () => {
  it('stands before the method itself and sees its messages, not their bytes', async () => {
    const seen: unknown[] = [];
    const guard: Guard = {
      forMethod: ({ name }) => ({
        admit: (request) => {
          seen.push([name, request]);
          if (request === 'no') throw new AgentError('permission_denied', 'no');
        },
        open: () => () => {},
      }),
    };
    const [lazy] = lazyMethods({ 's.S': ['Shout'] }, async () => [shout]);
    const method = guarded(lazy!, guard) as UnaryMethod<Uint8Array, Uint8Array>;
    assert.equal(Buffer.from(await method.handle(Buffer.from('hi'), call)).toString(), 'HI');
    await assert.rejects(
      async () => method.handle(Buffer.from('no'), call),
      (error) => hasCode(error, 'permission_denied'),
    );
    assert.deepEqual(seen, [
      ['Shout', 'hi'],
      ['Shout', 'no'],
    ]);
  });
});
