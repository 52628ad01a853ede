// Arguments that are of the right kind and still set traps: getters, proxies, memory that is gone.
import assert from 'node:assert/strict';
import { native } from '../../../native/index.ts';
import { exitOf, spawn } from './fixture.ts';

const goodSpec = { file: '/bin/true', args: ['true'], env: [], fds: [] };

describe('native hostile arguments', () => {
  it('passes on what a getter throws, wherever it sits', () => {
    const own = new Error('from the getter');
    const thrower = {
      get() {
        throw own;
      },
    };
    const element = (at: number) => Object.defineProperty(['a', 'b', 'c'], at, thrower);
    for (const spec of [
      Object.defineProperty({}, 'file', thrower),
      Object.defineProperty({ ...goodSpec }, 'newSession', thrower),
      { ...goodSpec, args: element(0) },
      { ...goodSpec, env: element(2) },
      new Proxy(goodSpec, thrower),
    ]) {
      assert.throws(() => native().spawn(spec as never), own);
    }
    assert.throws(() => native().sendFds(0, Buffer.from('x'), Object.defineProperty([1], 0, thrower) as never), own);
  });

  it('survives getters that change the array being read, or call the addon again', async () => {
    const args: string[] = ['true', 'b', 'c', 'd'];
    Object.defineProperty(args, 1, {
      get() {
        args.length = 2;
        return 'x';
      },
    });
    assert.throws(() => native().spawn({ ...goodSpec, args }), { name: 'TypeError', message: /"args\[2\]"/ });

    const inner: Promise<unknown>[] = [];
    const nested = {
      ...goodSpec,
      get cwd() {
        inner.push(exitOf(spawn('/bin/true')));
        return '/';
      },
    };
    inner.push(exitOf(native().spawn(nested)));
    const exits = await Promise.all(inner);
    assert.equal(exits.length, 2);
  });

  it('takes bytes from any kind of Uint8Array, and refuses one whose memory is gone', () => {
    const [a, b] = native().socketPair();
    const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(7);
    const view = new Uint8Array(new ArrayBuffer(16), 4, 2).fill(9);
    native().sendFds(a, shared, []);
    native().sendFds(a, view, []);
    assert.deepEqual([...native().recvFds(b, 64).data], [7, 7, 7, 9, 9]);
    const gone = new Uint8Array(8);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    assert.throws(() => native().sendFds(a, gone, []), { name: 'TypeError', message: /"data"/ });
    for (const fd of [a, b]) native().close(fd);
  });

  it('does not care for arguments too many, nor for `this`', () => {
    const { pipe, close } = native();
    for (const fd of (pipe as (...args: unknown[]) => [number, number]).call(undefined, 1, {}, 'x')) close(fd);
  });

  it('can not be constructed into a crash', () => {
    for (const verb of Object.values(native()) as unknown as (new () => unknown)[]) {
      if (verb.name === 'sync' || verb.name === 'pipe' || verb.name === 'openPty' || verb.name === 'socketPair') continue;
      try {
        new verb();
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }
  });
});
