// The fake agent behind a Unix socket, served as the real one is.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../agent/log.ts';
import { type RpcServer, serve } from '../../agent/rpc/server.ts';
import { listen } from '../../agent/transport/listen.ts';
import { FakeAgent } from './fake-agent.ts';

export interface ServedFakeAgent {
  readonly fake: FakeAgent;
  readonly address: string;
  /** Breaks what is connected, as a VM that dies does; new connections are taken. */
  dropConnections(): void;
  close(): Promise<void>;
}

export async function serveFakeAgent(): Promise<ServedFakeAgent> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-fake-'));
  const path = join(folder, 'agent.sock');
  const fake = new FakeAgent();
  const start = (): RpcServer => serve(fake.table(), { log: silentLogger });
  let server = start();
  const listener = await listen({ kind: 'unix', path }, {}, (connection) => server.accept(connection));
  return {
    fake,
    address: `unix://${path}`,
    dropConnections() {
      void server.close(0);
      server = start();
    },
    async close() {
      fake.reset();
      await listener.close();
      await server.close(0);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
