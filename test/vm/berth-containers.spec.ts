// berth.v1's containers, events and agent calls as a client sees them, on the wire itself.
import assert from 'node:assert/strict';
import { berth } from '#proto/berth.js';
import { hasCode, isAgentError } from '../../agent/errors.ts';
import { connect as connectGuest } from '../../client/api/guest.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { openChannel } from '../../client/rpc/open-channel.ts';
import { type MethodTypes, openStream } from '../../client/rpc/typed.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';
import { guestResources } from '../support/guest-resources.ts';

const v1 = berth.v1;
const { State } = v1.Container;
const ID = 'by-json';
const BUNDLE = `/run/kata-containers/${ID}`;

describe('berth.v1 on a booted guest', () => {
  let guest: TestGuest;
  let client: AgentClient;
  let channel: RpcChannel;

  before(async () => {
    guest = await sharedGuest();
    client = await guest.connect('ttrpc');
    channel = await openChannel(guest.guest.address, { protocol: 'grpc' });
    // The first container of a sandbox leaves its pid namespace to the others.
    await create();
    await client.kata.removeContainer({ containerId: ID });
  });
  after(async () => {
    channel?.close();
    await client?.close();
  });
  afterEach(() => client.kata.removeContainer({ containerId: ID }).catch(() => {}));

  async function call<Req, Res>(service: string, name: string, types: MethodTypes<Req, Res>, request: Req): Promise<Res> {
    const bytes = types.request.encode(request).finish();
    return types.response.decode(await channel.unary(`berth.v1.${service}`, name, bytes));
  }
  const containers = <Req>(name: string, request: MethodTypes<Req, unknown>['request'], message: Req) =>
    call('Containers', name, { request, response: v1.Container }, message);

  const spec = (over: object = {}) =>
    JSON.stringify({
      process: { args: ['sleep', 'inf'], cwd: '/', env: ['PATH=/bin'] },
      root: { path: `${BUNDLE}/rootfs` },
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
      linux: { namespaces: [{ type: 'mount' }] },
      ...over,
    });
  const create = (over: berth.v1.CreateContainerRequest.$Properties = {}) =>
    containers('Create', v1.CreateContainerRequest, {
      id: ID,
      specJson: spec(),
      storages: [
        { driver: 'blk', source: '/dev/vdb', filesystem: 'erofs', options: ['ro'], mountPoint: `${BUNDLE}/lower` },
        {
          driver: 'overlayfs',
          source: 'none',
          filesystem: 'overlay',
          options: [`lowerdir=${BUNDLE}/lower`],
          driverOptions: ['io.katacontainers.fs-opt.overlay-rw'],
          mountPoint: `${BUNDLE}/rootfs`,
        },
      ],
      ...over,
    });

  it('makes, starts, limits, freezes, tells of and deletes a container that is described as JSON', async () => {
    const before = await guestResources(guest);
    const made = await create({ labels: { app: 'web' } });
    assert.deepEqual([made.state, made.args, made.labels], [State.STATE_CREATED, ['sleep', 'inf'], { app: 'web' }]);
    assert.equal((await containers('Start', v1.StartContainerRequest, { id: ID })).state, State.STATE_RUNNING);
    assert.equal((await containers('Start', v1.StartContainerRequest, { id: ID })).state, State.STATE_RUNNING);
    await containers('Update', v1.UpdateContainerRequest, { id: ID, memoryBytes: 64n << 20n, pids: 20n });
    const stats = openStream(
      channel,
      { service: 'berth.v1.Containers', method: 'Stats' },
      { request: v1.ContainerStatsRequest, response: v1.ContainerStats },
    );
    await stats.send({ id: ID });
    stats.end();
    const [figures] = await Array.fromAsync(stats);
    assert.equal(figures?.memoryLimitBytes, 64n << 20n);
    assert.equal(figures?.pids, 1n);
    assert.equal((await containers('Pause', v1.PauseRequest, { id: ID })).state, State.STATE_PAUSED);
    assert.equal((await containers('Resume', v1.ResumeRequest, { id: ID })).state, State.STATE_RUNNING);
    const list = { request: v1.ListRequest, response: v1.ListResponse };
    assert.equal((await call('Containers', 'List', list, { labels: { app: 'web' } })).containers.length, 1);
    assert.equal((await call('Containers', 'List', list, { labels: { app: 'db' } })).containers.length, 0);
    await call('Containers', 'Delete', { request: v1.DeleteContainerRequest, response: v1.DeleteContainerResponse }, { id: ID });
    await assert.rejects(containers('Inspect', v1.InspectContainerRequest, { id: ID }), (error) => hasCode(error, 'not_found'));
    assert.deepEqual(await guestResources(guest), before);
  });

  it('makes one container of two creates with one key, at the same time and later', async () => {
    const [first, second] = await Promise.all([create({ key: 'k1' }), create({ key: 'k1' })]);
    assert.equal(first.createdUnixMs, second.createdUnixMs);
    assert.equal((await create({ key: 'k1' })).createdUnixMs, first.createdUnixMs);
    await assert.rejects(create(), (error) => hasCode(error, 'already_exists'));
  });

  it('refuses a spec that is wrong, names the field and leaves nothing', async () => {
    const before = await guestResources(guest);
    for (const [specJson, field] of [
      ['{', undefined],
      [spec({ process: { args: 'sleep', cwd: '/' } }), 'process.args'],
      [spec({ root: {} }), 'root.path'],
      [spec({ process: { args: [], cwd: '/' } }), 'process.args'],
    ] as const) {
      await assert.rejects(create({ specJson }), (error) => {
        assert.ok(isAgentError(error) && error.code === 'invalid_argument', String(error));
        assert.equal(error.fields['field'], field);
        return true;
      });
    }
    assert.deepEqual(await guestResources(guest), before);
  });

  it('tells everything that happens as one log that can be read again from any number', async () => {
    const watch = async (request: berth.v1.WatchEventsRequest.$Properties) => {
      const stream = openStream(
        channel,
        { service: 'berth.v1.Events', method: 'Watch' },
        { request: v1.WatchEventsRequest, response: v1.Event },
      );
      await stream.send(request);
      stream.end();
      return stream;
    };
    const live = (await watch({ end: true, containerIds: [ID] }))[Symbol.asyncIterator]();
    const watching = (await live.next()).value!;
    assert.equal(watching.kind, 'events.watching');
    await create();
    await containers('Start', v1.StartContainerRequest, { id: ID });
    await client.kata.signalProcess({ containerId: ID, execId: '', signal: 9 });
    await client.kata.waitProcess({ containerId: ID, execId: '' });
    await client.kata.removeContainer({ containerId: ID });
    const seen: berth.v1.Event[] = [(await live.next()).value!];
    while (seen.at(-1)?.kind !== 'container.deleted') seen.push((await live.next()).value!);
    const kinds = seen.map(({ kind }) => kind).filter((kind) => kind.startsWith('container.'));
    assert.deepEqual(kinds, ['container.created', 'container.started', 'container.stopped', 'container.deleted']);
    const stopped = seen.find(({ kind }) => kind === 'container.stopped');
    assert.deepEqual([stopped?.exit?.code, stopped?.exit?.signal], [-1, 9]);
    await live.return?.();
    const again = await Array.fromAsync(await watch({ sequence: seen[0]!.sequence, containerIds: [ID], replayOnly: true }));
    assert.deepEqual(again.slice(1), seen);
    const late = (await watch({ sequence: 1n << 40n }))[Symbol.asyncIterator]().next();
    await assert.rejects(late, (error) => hasCode(error, 'out_of_range'));
  });

  it('keeps the output of the init process as asked, and removes the container when its lease runs out', async () => {
    await using program = await connectGuest(guest.guest.address);
    await create({
      specJson: spec({ process: { args: ['sh', '-c', 'seq 1 20000; echo end'], cwd: '/', env: ['PATH=/bin'] } }),
      stdout: { delivery: v1.Delivery.DELIVERY_LATEST, limitBytes: 8192 },
      lifetime: { leaseMs: 2_000 },
    });
    const container = program.container(ID);
    await container.start();
    const init = await container.init();
    await init.wait();
    const pieces = await Array.fromAsync(init.stdout.pieces());
    assert.ok(
      Buffer.concat(pieces.flatMap((piece) => (piece.kind === 'data' ? [piece.data] : [])))
        .toString()
        .endsWith('\nend\n'),
    );
    // After the end of the output, which the exit does not wait for.
    const { init: told } = await container.inspect();
    assert.ok((told?.stdout?.start ?? 0n) > 0n, 'it was to keep the newest bytes only');
    init.detach();
    for await (const event of program.events({ after: 'start', containerIds: [ID] })) {
      if (event.kind === 'container.leased-out') assert.equal(event.fields['reason'], 'lease');
      if (event.kind === 'container.deleted' && (await program.containers()).every(({ id }) => id !== ID)) break;
    }
  });

  it('says who it is and what it can do', async () => {
    const info = await call('Agent', 'Info', { request: v1.InfoRequest, response: v1.InfoResponse }, {});
    assert.match(info.runtimeVersion, /^crun version 1\.\d+/);
    assert.ok(info.memoryTotalBytes > info.memoryAvailableBytes && info.memoryAvailableBytes > 0n);
    assert.ok(info.features.includes('containers') && info.protocols.includes('grpc'));
    assert.ok(Math.abs(Number(info.clockUnixMs) - Date.now()) < 60_000);
    const hello = await call(
      'Agent',
      'Hello',
      { request: v1.HelloRequest, response: v1.HelloResponse },
      { name: 'test', version: '1' },
    );
    assert.equal(hello.bootId, info.bootId);
    assert.match(hello.session, /^[0-9a-f]{32}$/);
    const again = call('Agent', 'Hello', { request: v1.HelloRequest, response: v1.HelloResponse }, { name: 'test' });
    await assert.rejects(again, (error) => hasCode(error, 'failed_precondition'));
  });
});
