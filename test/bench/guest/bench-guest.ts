// The guest of the bench: one boot, with the log's lines about listening kept.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentClient } from '../../../client/kata/agent-client.ts';
import { connectKata } from '../../../client/kata/connect.ts';
import type { Protocol } from '../../../client/rpc/open-channel.ts';
import { bootGuest } from '../../../client/vm/boot.ts';
import type { Guest } from '../../../client/vm/guest.ts';
import { isListening, type ListeningRecord } from '../../../client/vm/timeline.ts';

const IMAGES = process.env['BERTH_IMAGE_DIR'] ?? join(import.meta.dirname, '../../../build/image');
const CONNECT_TIMEOUT_MS = 60_000;
export const PASSFD_PORT = 1027;

export interface BenchGuest extends AsyncDisposable {
  readonly guest: Guest;
  /** One for each start of the agent so far. */
  readonly listening: readonly ListeningRecord[];
  /** From QEMU's start to the agent's first answer. */
  readonly firstAnswerMs: number;
  connect(protocol: Protocol): Promise<AgentClient>;
}

export async function bootBenchGuest(out: string): Promise<BenchGuest> {
  await mkdir(out, { recursive: true });
  const listening: ListeningRecord[] = [];
  const calledAt = performance.now();
  const guest = await bootGuest({
    cpus: 2,
    // Through vhost-device-vsock a connection's port is told by the log, at debug.
    cmdline: [`agent.passfd_listener_port=${PASSFD_PORT}`, 'agent.log=debug'],
    disks: [{ path: join(IMAGES, 'busybox.erofs'), readonly: true, serial: 'busybox' }],
    consoleLog: join(out, 'console.log'),
    onLog: (record) => {
      if (isListening(record)) listening.push(record);
    },
  });
  const dial = (protocol: Protocol) => connectKata(guest.address, { protocol, timeoutMs: CONNECT_TIMEOUT_MS });
  {
    await using client = await dial('ttrpc');
    await client.version();
  }
  return {
    guest,
    listening,
    firstAnswerMs: performance.now() - calledAt - guest.timeline().qemuStartMs,
    connect: dial,
    [Symbol.asyncDispose]: async () => void (await guest.stop()),
  };
}
