import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Storage, StorageDriver, StorageHost } from '../../../../agent/container/storage/storage.ts';
import { StorageTable } from '../../../../agent/container/storage/storage-table.ts';
import { AgentError, hasCode } from '../../../../agent/errors.ts';

const HOST = {} as StorageHost;

const storage = (mountPoint: string, changes: Partial<Storage> = {}): Storage => ({
  driver: 'fake',
  driverOptions: [],
  source: 's',
  fstype: '',
  options: [],
  mountPoint,
  shared: false,
  ...changes,
});

describe('the table of storages', () => {
  /** What is attached now, and what was done, in order. */
  let attached: Set<string>;
  let log: string[];
  let refuse: (call: string) => boolean;
  let table: StorageTable;

  beforeEach(() => {
    attached = new Set();
    log = [];
    refuse = () => false;
    const step = async (call: string) => {
      log.push(call);
      await new Promise(setImmediate);
      if (refuse(call)) throw new AgentError('internal', `no ${call}`);
    };
    const fake: StorageDriver = {
      name: 'fake',
      attach: async ({ mountPoint }) => {
        await step(`attach ${mountPoint}`);
        assert.ok(!attached.has(mountPoint), `${mountPoint} is attached twice`);
        attached.add(mountPoint);
        return async () => {
          await step(`detach ${mountPoint}`);
          assert.ok(attached.delete(mountPoint), `${mountPoint} is detached twice`);
        };
      },
    };
    table = new StorageTable(HOST, [fake]);
  });

  it('attaches in order and detaches in the reverse order', async () => {
    const held = await table.add([storage('/m/a'), storage('/m/b')], {});
    assert.deepEqual(held.mountPoints, ['/m/a', '/m/b']);
    await table.release(held);
    assert.deepEqual(log, ['attach /m/a', 'attach /m/b', 'detach /m/b', 'detach /m/a']);
    assert.deepEqual(held.mountPoints, []);
  });

  it('attaches once for several holders, and detaches after the last of them', async () => {
    const [first, second] = await Promise.all([table.add([storage('/m/a')], {}), table.add([storage('/m/a/')], {})]);
    assert.deepEqual(log, ['attach /m/a']);
    await table.release(first);
    assert.ok(attached.has('/m/a'));
    await table.release(second);
    assert.deepEqual([...attached], []);
  });

  it('undoes what it did when a later storage fails, and tells of that failure', async () => {
    refuse = (call) => call === 'attach /m/c';
    await assert.rejects(table.add([storage('/m/a'), storage('/m/b'), storage('/m/c'), storage('/m/d')], {}), /no attach \/m\/c/);
    assert.deepEqual([...attached], []);
    assert.deepEqual(log.slice(-2), ['detach /m/b', 'detach /m/a']);
  });

  it('leaves what others hold when it undoes', async () => {
    const held = await table.add([storage('/m/a')], {});
    refuse = (call) => call === 'attach /m/b';
    await assert.rejects(table.add([storage('/m/a'), storage('/m/b')], {}));
    assert.deepEqual([...attached], ['/m/a']);
    await table.release(held);
    assert.deepEqual([...attached], []);
  });

  it('begins nothing when a storage of the request is unusable', async () => {
    await assert.rejects(
      table.add([storage('/m/a'), storage('/m/b', { driver: '9p' })], {}),
      (error) => hasCode(error, 'not_found') && error.message === 'Failed to find the storage handler 9p',
    );
    await assert.rejects(table.add([storage('/m/a'), storage('/etc')], {}), (error) => hasCode(error, 'invalid_argument'));
    await assert.rejects(table.add(Array(257).fill(storage('/m/a')), {}), (error) => hasCode(error, 'resource_exhausted'));
    assert.deepEqual(log, []);
  });

  it('keeps a shared one until the sandbox ends', async () => {
    const held = await table.add([storage('/m/s', { shared: true })], {});
    await table.release(held);
    assert.deepEqual([...attached], ['/m/s']);
    await table.release(await table.add([storage('/m/s')], {}));
    assert.deepEqual([...attached], ['/m/s']);
    await table.releaseAll();
    assert.deepEqual([...attached], []);
  });

  it('refuses to put another thing where one is', async () => {
    const held = await table.add([storage('/m/a')], {});
    await assert.rejects(table.add([storage('/m/a', { source: 'other' })], {}), (error) => hasCode(error, 'already_exists'));
    await table.release(held);
    assert.deepEqual([...attached], []);
  });

  it('keeps what could not be detached, so that it can be tried again, and detaches the rest', async () => {
    const held = await table.add([storage('/m/a'), storage('/m/b')], {});
    refuse = (call) => call === 'detach /m/b';
    await assert.rejects(table.release(held), /no detach \/m\/b/);
    assert.deepEqual([...attached], ['/m/b']);
    assert.deepEqual(held.mountPoints, ['/m/b']);
    refuse = () => false;
    await table.release(held);
    assert.deepEqual([...attached], []);
  });

  it('may be given the same storages back twice', async () => {
    const other = await table.add([storage('/m/a')], {});
    const held = await table.add([storage('/m/a')], {});
    await table.release(held);
    await table.release(held);
    assert.deepEqual([...attached], ['/m/a']);
    await table.release(other);
  });

  it('detaches the newest first at the end, tries all, and then tells of the first failure', async () => {
    await table.add([storage('/m/a'), storage('/m/b'), storage('/m/c')], {});
    refuse = (call) => call === 'detach /m/b';
    await assert.rejects(table.releaseAll(), /no detach \/m\/b/);
    assert.deepEqual(log.slice(-3), ['detach /m/c', 'detach /m/b', 'detach /m/a']);
  });

  it('holds to its invariants whatever is added, released and refused at the same time', async () => {
    const point = fc.constantFrom('/m/a', '/m/b', '/m/c');
    const request = fc.record({
      points: fc.array(point, { minLength: 1, maxLength: 4 }),
      failing: fc.option(point),
      wait: fc.nat(3),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 8 }), async (requests) => {
        const failing = new Set<string>();
        refuse = (call) => failing.has(call);
        const work = requests.map(async ({ points, failing: fails, wait }) => {
          for (let turn = 0; turn < wait; turn++) await new Promise(setImmediate);
          if (fails) failing.add(`attach ${fails}`);
          const held = await table
            .add(
              points.map((at) => storage(at)),
              {},
            )
            .catch(() => undefined);
          if (fails) failing.delete(`attach ${fails}`);
          if (held === undefined) return;
          for (const at of points) assert.ok(attached.has(at), `${at} is held but not attached`);
          await table.release(held);
        });
        await Promise.all(work);
        assert.deepEqual([...attached], []);
      }),
    );
  });
});

describe('a storage that hangs', () => {
  const PATIENCE_MS = 60;
  let hanging: Map<string, PromiseWithResolvers<void>>;
  let attached: Set<string>;
  /** Every attach that was begun. */
  let begun: string[];
  let table: StorageTable;

  beforeEach(() => {
    hanging = new Map();
    attached = new Set();
    begun = [];
    const wait = async (what: string) => await hanging.get(what)?.promise;
    const fake: StorageDriver = {
      name: 'fake',
      extraPatienceMs: ({ source }) => (source === 'slow' ? 10 * PATIENCE_MS : 0),
      attach: async ({ mountPoint }) => {
        begun.push(mountPoint);
        await wait(`attach ${mountPoint}`);
        assert.ok(!attached.has(mountPoint), `${mountPoint} is attached twice`);
        attached.add(mountPoint);
        return async () => {
          await wait(`detach ${mountPoint}`);
          attached.delete(mountPoint);
        };
      },
    };
    table = new StorageTable(HOST, [fake], { attachPatienceMs: PATIENCE_MS, detachPatienceMs: PATIENCE_MS });
  });

  const hang = (what: string) => {
    const gate = Promise.withResolvers<void>();
    hanging.set(what, gate);
    return gate;
  };
  const late = (name: string) => (error: unknown) => hasCode(error, 'deadline_exceeded') && error.message.includes(name);
  const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

  it('is named when the time is over, and those before it are given back', async () => {
    hang('attach /m/b');
    await assert.rejects(
      table.add([storage('/m/a'), storage('/m/b', { source: 'dead' })], {}),
      (error) =>
        hasCode(error, 'deadline_exceeded') &&
        error.message === 'attach fake storage `dead` on /m/b: nothing happened for 60 ms' &&
        error.fields['mountPoint'] === '/m/b',
    );
    assert.deepEqual([...attached], []);
  });

  it('is undone when it is attached after all', async () => {
    const gate = hang('attach /m/a');
    await assert.rejects(table.add([storage('/m/a')], {}), late('/m/a'));
    hanging.clear();
    gate.resolve();
    await settle();
    assert.deepEqual([...attached], []);
    const held = await table.add([storage('/m/a')], {});
    assert.deepEqual([...attached], ['/m/a']);
    await table.release(held);
    assert.deepEqual([...attached], []);
  });

  it('keeps its place until then: another for the same place waits, and gives up in its turn', async () => {
    const gate = hang('attach /m/a');
    const both = [table.add([storage('/m/a')], {}), table.add([storage('/m/a')], {})];
    await Promise.all(both.map((add) => assert.rejects(add, late('/m/a'))));
    gate.resolve();
    await settle();
    assert.deepEqual([...attached], []);
  });

  it('holds up no other', async () => {
    const gates = Array.from({ length: 20 }, (_, at) => hang(`attach /dead/${at}`));
    const dead = gates.map((_, at) => assert.rejects(table.add([storage(`/dead/${at}`)], {}), late(`/dead/${at}`)));
    const held = await table.add([storage('/m/a'), storage('/m/b')], {});
    assert.deepEqual([...attached], ['/m/a', '/m/b']);
    await table.release(held);
    await Promise.all(dead);
    for (const gate of gates) gate.resolve();
  });

  it('takes one of 32 places with it; one that waited for a place in vain is never attached', async () => {
    const gates = Array.from({ length: 32 }, (_, at) => hang(`attach /dead/${at}`));
    const dead = gates.map((_, at) => assert.rejects(table.add([storage(`/dead/${at}`)], {}), late(`/dead/${at}`)));
    await assert.rejects(table.add([storage('/m/late')], {}), late('/m/late'));
    await Promise.all(dead);
    for (const gate of gates) gate.resolve();
    await settle();
    assert.deepEqual([...attached], []);
    assert.ok(!begun.includes('/m/late'));
    await table.add([storage('/m/late')], {});
    assert.deepEqual([...attached], ['/m/late']);
  });

  it('is given longer when it has more to do', async () => {
    const gate = hang('attach /m/a');
    setTimeout(() => gate.resolve(), 3 * PATIENCE_MS);
    await table.add([storage('/m/a', { source: 'slow' })], {});
    assert.deepEqual([...attached], ['/m/a']);
  });

  it('that can not be detached is named, stays held, and can be given back again', async () => {
    const held = await table.add([storage('/m/a'), storage('/m/b')], {});
    const gate = hang('detach /m/b');
    await assert.rejects(table.release(held), late('/m/b'));
    assert.deepEqual(held.mountPoints, ['/m/b']);
    assert.deepEqual([...attached], ['/m/b']);
    hanging.clear();
    gate.resolve();
    await table.release(held);
    assert.deepEqual([...attached], []);
  });

  it('that can not be detached in time is counted once, however often it is given back', async () => {
    const first = await table.add([storage('/m/a')], {});
    const gate = hang('detach /m/a');
    await assert.rejects(table.release(first), late('/m/a'));
    const second = table.add([storage('/m/a')], {});
    hanging.clear();
    gate.resolve();
    await second;
    await table.release(first);
    assert.deepEqual([...attached], ['/m/a']);
    await table.release(await second);
    assert.deepEqual([...attached], []);
  });

  it('that was given back late takes nothing from the other holders when it is given back again', async () => {
    const first = await table.add([storage('/m/a')], {});
    const second = await table.add([storage('/m/a')], {});
    const gate = hang('detach /m/a');
    const end = table.releaseAll();
    await Promise.all([assert.rejects(end, late('/m/a')), assert.rejects(table.release(first), late('/m/a'))]);
    hanging.clear();
    gate.reject(new Error('busy'));
    await settle();
    await table.release(first);
    assert.deepEqual([...attached], ['/m/a']);
    await table.release(second);
    assert.deepEqual([...attached], []);
  });
});
