// `npm run bench:density`: what a pod costs with Berth. Boots guests, looks at their memory from both sides, then makes containers, execs
// and connections until one more can be told from the noise. Leaves build/bench/density.json. It judges nothing.
//   --quick   smaller counts, one guest
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createContainer, type KataContainer } from '../../client/kata/container.ts';
import { kataClient } from '../../client/kata/services.ts';
import type { RpcChannel } from '../../client/rpc/channel.ts';
import { openChannel } from '../../client/rpc/open-channel.ts';
import { type Growth, grow } from './density/growth.ts';
import { guestUse, type HostUse, hostUse } from './density/probe.ts';
import { type DensityReport, densityText } from './density/report.ts';
import { type BenchGuest, bootBenchGuest } from './guest/bench-guest.ts';
import { caption, describeMachine } from './machine.ts';

const OUT = join(import.meta.dirname, '../../build/bench');
const BUSYBOX = { kind: 'disk', device: '/dev/vdb', fstype: 'erofs' } as const;
/** The agent gives memory back 5 s after the last call (agent/guest/trim.ts); an emulated guest takes its time over it. */
const SETTLE_SECONDS = 8;
/** The default of the launcher. */
const MEMORY_MIB = 512;
const FULL = { guests: 3, containers: [1, 10, 50, 100, 200], execs: [1, 10, 50, 100, 200], connections: [1, 50, 250, 500] };
const QUICK = { guests: 1, containers: [1, 10], execs: [1, 10], connections: [1, 50] };

const { values } = parseArgs({ options: { quick: { type: 'boolean' } } });
const counts = values.quick ? QUICK : FULL;
const say = (text: string) => console.error(text);

async function rest(bench: BenchGuest) {
  await using client = await bench.connect('ttrpc');
  await client.kata.createSandbox({ sandboxId: 'density', hostname: 'density' });
  const guest = await guestUse(client, SETTLE_SECONDS);
  return { guest, host: await hostUse(bench.guest.pid), emulated: bench.guest.accel === 'tcg' };
}

async function growContainers(bench: BenchGuest): Promise<Growth[]> {
  await using client = await bench.connect('ttrpc');
  const look = () => guestUse(client, SETTLE_SECONDS);
  const made: KataContainer[] = [];
  const containers = await grow(
    'containers',
    counts.containers,
    async () => {
      const container = await createContainer(client.kata, { args: ['sleep', 'inf'], rootfs: BUSYBOX });
      made.push(container);
      await container.start();
    },
    look,
  );
  const execs = await grow('execs', counts.execs, async () => void (await made[0]!.exec({ args: ['sleep', 'inf'] })), look);
  for (const container of made) await container.remove();
  return [containers, execs];
}

async function growConnections(bench: BenchGuest, protocol: 'ttrpc' | 'grpc'): Promise<Growth> {
  await using client = await bench.connect('ttrpc');
  const channels: RpcChannel[] = [];
  const growth = await grow(
    `idle ${protocol} connections`,
    counts.connections,
    async () => {
      const channel = await openChannel(bench.guest.address, { protocol, timeoutMs: 60_000 });
      channels.push(channel);
      await kataClient(channel).health.check({});
    },
    () => guestUse(client, SETTLE_SECONDS),
  );
  for (const channel of channels) channel.close();
  return growth;
}

const hosts: HostUse[] = [];
let emulated = false;
const growths: Growth[] = [];
let guest: DensityReport['guest'] | undefined;
for (let nth = 1; nth <= counts.guests; nth++) {
  say(`guest ${nth} of ${counts.guests}: booting`);
  await using bench = await bootBenchGuest(OUT);
  const found = await rest(bench);
  hosts.push(found.host);
  emulated ||= found.emulated;
  guest ??= found.guest;
  if (nth < counts.guests) continue;
  say('containers and execs');
  growths.push(...(await growContainers(bench)));
  for (const protocol of ['ttrpc', 'grpc'] as const) {
    say(`${protocol} connections`);
    growths.push(await growConnections(bench, protocol));
  }
}
const report: DensityReport = { memoryMib: MEMORY_MIB, guest: guest!, hosts, emulated, growths };
const machine = await describeMachine();
await mkdir(OUT, { recursive: true });
await writeFile(join(OUT, 'density.json'), `${JSON.stringify({ machine, quick: values.quick ?? false, ...report }, null, 1)}\n`);
console.log(`${caption(machine)}\n\n${densityText(report)}\nbuild/bench/density.json has all of it.`);
