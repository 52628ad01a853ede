import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { grpc } from '#proto/kata.js';
import { FEATURES } from '../../../../agent/api/berth/agent.ts';
import { silentLogger } from '../../../../agent/log.ts';
import { serve } from '../../../../agent/rpc/server.ts';
import { methodTable } from '../../../../agent/rpc/service.ts';
import { dial } from '../../../../agent/transport/dial.ts';
import { listenUnix } from '../../../../agent/transport/unix.ts';
import { connect, type Guest } from '../../../../client/api/guest.ts';
import { AGENT, CONTAINERS, EVENTS, PROCESSES, TUNNELS } from '../../../../client/api/methods.ts';
import { UnsupportedError } from '../../../../client/api/unsupported.ts';
import { FakeGuest } from './fake-guest.ts';

describe('an agent that is older than its client', () => {
  describe('with berth.v1', () => {
    let fake: FakeGuest;
    let guest: Guest;

    beforeEach(async () => {
      fake = await FakeGuest.start();
    });
    afterEach(async () => {
      await guest.close();
      await fake[Symbol.asyncDispose]();
    });

    async function connectTo(...features: string[]): Promise<Guest> {
      fake.features = features;
      guest = await connect(fake.proxy.address, { patienceMs: 2_000 });
      return guest;
    }

    const refused = (feature: string) => (error: unknown) => {
      assert.ok(error instanceof UnsupportedError, String(error));
      assert.deepEqual([error.code, error.feature, error.agentVersion], ['unimplemented', feature, '0.1.0']);
      assert.match(
        error.message,
        new RegExp(`^the agent 0\\.1\\.0 in this guest has no ${feature}: boot the guest from an image of Berth `),
      );
      return true;
    };

    const calls: [string, (guest: Guest) => Promise<unknown>][] = [
      ['processes', (guest) => guest.run(['true'], { lifetime: 'keep' })],
      ['processes', (guest) => guest.attach('p')],
      ['processes', (guest) => guest.processes()],
      ['containers', (guest) => guest.containers()],
      ['containers', (guest) => guest.container('c').start()],
      ['containers', (guest) => guest.container('c').stats().next()],
      ['events', (guest) => guest.events().next()],
      ['leases', (guest) => guest.lease(1_000)],
      ['leases', (guest) => guest.run(['true'])],
      ['leases', (guest) => guest.run(['true'], { lifetime: { leaseMs: 5_000 } })],
      ['keys', (guest) => guest.run(['true'], { lifetime: 'keep', key: 'k' })],
      ['upgrade', (guest) => guest.upgrade('/nowhere')],
      ['tunnels', (guest) => guest.tunnel({ port: 1 })],
    ];
    for (const [feature, call] of calls) {
      it(`is refused ${feature} here, by ${/=> (.*)$/.exec(call.toString())?.[1]}, with nothing sent`, async () => {
        const guest = await connectTo(...FEATURES.filter((name) => name !== feature));
        await assert.rejects(call(guest), refused(feature));
        assert.deepEqual(fake.starts, []);
      });
    }

    it('tells readers of a process when it has no attach', async () => {
      const guest = await connectTo(...FEATURES.filter((name) => name !== 'attach'));
      const process = await guest.attach('p');
      await assert.rejects(process.stdout.text(), refused('attach'));
    });

    for (const [what, features, starts] of [
      ['once, and its lost answer told, where it knows no keys', ['processes', 'attach'], 1],
      ['again with the same key where it does', ['processes', 'attach', 'keys'], 2],
    ] as const) {
      it(`is asked to start ${what}`, async () => {
        const guest = await connectTo(...features);
        fake.onStart = () => {
          fake.onStart = undefined;
          fake.proxy.cut();
        };
        const start = guest.run(['true'], { lifetime: 'keep' });
        if (starts === 1) await assert.rejects(start, { code: 'unavailable' });
        else await start;
        assert.equal(fake.starts.length, starts);
      });
    }

    it('is known by its features, which each method but those of the agent itself names', () => {
      for (const method of Object.values({ ...PROCESSES, ...CONTAINERS, ...EVENTS, ...TUNNELS, ...AGENT })) {
        if (method.service !== 'berth.v1.Agent') assert.ok(method.feature, method.name);
        if (method.feature !== undefined) assert.ok(FEATURES.includes(method.feature), `${method.name}: ${method.feature}`);
      }
    });
  });

  describe('without berth.v1', () => {
    let folder: string;
    let path: string;
    const closers: (() => Promise<unknown>)[] = [];

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'berth-old-'));
      path = join(folder, 'agent');
    });
    afterEach(async () => {
      for (const close of closers.splice(0).reverse()) await close();
      await rm(folder, { recursive: true });
    });

    /** What every agent of Kata's kind has. */
    async function serveHealth(at: string): Promise<void> {
      const version = {
        kind: 'unary',
        service: 'grpc.Health',
        name: 'Version',
        request: grpc.CheckRequest,
        response: grpc.VersionCheckResponse,
        handle: () => ({ agentVersion: '3.9.0', grpcVersion: '0.0.1' }),
      } as const;
      const server = serve(methodTable([version]), { log: silentLogger });
      const listener = await listenUnix({ kind: 'unix', path: at }, server.accept);
      closers.push(
        () => server.close(0),
        () => listener.close(),
      );
    }

    const refused = (error: unknown) => {
      assert.ok(error instanceof UnsupportedError, String(error));
      assert.deepEqual([error.code, error.feature, error.agentVersion], ['unimplemented', 'berth.v1', '3.9.0']);
      assert.match(error.message, /^the agent 3\.9\.0 in this guest has no berth\.v1: .*Kata's API/);
      return true;
    };

    it('is refused when it answers gRPC: an old Berth', async () => {
      await serveHealth(path);
      await assert.rejects(connect(`unix://${path}`), refused);
    });

    for (const firstDial of ['patient', 'once'] as const) {
      it(`is refused when it hangs up on gRPC: Kata's own (${firstDial})`, async () => {
        await serveHealth(join(folder, 'inner'));
        const front = net.createServer((socket) => {
          socket.on('error', () => {});
          socket.once('data', async (first) => {
            if (first.toString('latin1').startsWith('PRI')) return socket.destroy();
            const inner = await dial({ kind: 'unix', path: join(folder, 'inner') });
            inner.on('error', () => {});
            inner.write(first);
            socket.pipe(inner).pipe(socket);
          });
        });
        await new Promise<void>((resolve) => front.listen(path, resolve));
        closers.push(async () => front.close());
        await assert.rejects(connect(`unix://${path}`, { firstDial }), refused);
      });
    }

    it('is not what is told where nobody listens', async () => {
      await assert.rejects(connect(`unix://${path}`, { firstDial: 'once' }), {
        code: 'unavailable',
        message: /^no agent answers at unix:.*agent$/,
      });
    });
  });
});
