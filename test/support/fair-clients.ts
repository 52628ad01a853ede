// Many clients on one agent: none is kept waiting by another, and none that stops costs more than its window. Run against the agent on this
// machine and against one in a guest; the figures are printed, what is asserted holds on a slow and busy machine too.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Guest } from '../../client/api/guest.ts';
import type { Process } from '../../client/api/process.ts';
import { connectKata } from '../../client/kata/connect.ts';
import { type AgentMemory, agentMemory, describeMemory } from './agent-memory.ts';
import { describeTimes, timeDuring } from './latency.ts';
import { fairness, type ReaderProgram, ratesOf, readStream, type StreamReader, spawnReaders } from './stream-reader.ts';

const LONG = process.env['BERTH_TEST_LONG'] === '1';
/** How long one reader stands still. */
const STOPPED_MS = LONG ? 120_000 : 3_000;
const NEVER_READ_MS = LONG ? 60_000 : 3_000;
const MEASURED_MS = LONG ? 10_000 : 1_500;
/** One stream has at most 64 readers, hence two. */
const FULL = { readers: 8, bulkStreams: 16, neverReaders: [50, 50], clients: 128, busyClients: 16 };
/** For a guest that is emulated, where each connection and each process takes its time. */
const FEW = { readers: 4, bulkStreams: 8, neverReaders: [12, 12], clients: 24, busyClients: 3 };
/** Of the agent, by whatever goes on (issue 4). */
const MORE_MIB = 32;
/** It gives memory back 5 s after the last call; the small run does not wait for that each time. */
const SETTLED_MS = LONG ? 7_000 : 500;
/** Output for ever, in the guest's own time: a machine with one processor has others to serve as well. */
const TRICKLE = 'read go; while :; do head -c 65536 /dev/zero; sleep 0.05; done';
/** Before a rate is looked at: windows are full then, and logs. */
const UNDER_WAY_MS = LONG ? 2_000 : 500;
/** Nobody who asks something small waits so long, whatever the machine does. */
const NEVER_MS = 20_000;
const SMALL_CALL_MS = 20_000;
/** Many at once, to a guest that is emulated. */
const DIAL_MS = 60_000;

/** Where the agent is; asked for when tests run. */
export interface AgentPlace {
  readonly address: () => string;
  readonly name: string;
  /** Smaller counts but in the long run. */
  readonly few?: boolean;
}

export function describeFairClients({ address, name, few = false }: AgentPlace): void {
  const { readers: readerCount, bulkStreams, neverReaders, clients: clientCount, busyClients } = few && !LONG ? FEW : FULL;
  describe(`many clients of one agent ${name}`, function () {
    this.timeout(400_000);
    let guest: Guest;

    before(async () => {
      guest = await connect(address(), { name: 'overseer' });
    });
    after(() => guest?.close());

    const say = (text: string) => console.log(`        ${text}`);
    const memory = () => agentMemory(guest);
    const zeros = (count: number) => Promise.all(Array.from({ length: count }, () => guest.run(['cat', '/dev/zero'])));

    it(`read on at their pace while one of ${readerCount} readers of one stream is stopped, and the agent's memory stays flat`, async () => {
      await using stack = new AsyncDisposableStack();
      const yes = stack.use(await guest.run(['yes']));
      const { processId } = yes.ref;
      const others: StreamReader[] = [];
      for (let reader = 1; reader < readerCount; reader++) {
        others.push(stack.use(await readStream(address(), processId, { primary: reader === 1 })));
      }
      const stopped = stack.use(await spawnReaders(address(), [processId]));
      await sleep(UNDER_WAY_MS);
      const before = await ratesOf(others, MEASURED_MS);
      stopped.stop();
      await sleep(UNDER_WAY_MS);
      const first = await memory();
      const after = await ratesOf(others, STOPPED_MS);
      const last = await memory();
      const change = sum(after) / sum(before);
      say(
        `each of ${others.length} readers: ${megabytes(before)} MB/s before, ${megabytes(after)} with one stopped (x ${change.toFixed(2)})`,
      );
      say(`agent at the stop: ${describeMemory(first)}; ${STOPPED_MS / 1000} s later: ${describeMemory(last)}`);
      // Alone the others are faster, if anything; a reader that held them back would bring them to nothing.
      for (const [index, rate] of after.entries()) assert.ok(rate > before[index]! / 3, `${rate} after ${before[index]}`);
      assert.ok(last.privateMiB - first.privateMiB < 16, `${first.privateMiB} to ${last.privateMiB} MiB`);
      stopped.goOn();
      await goesOn(stopped);
    });

    it(`that never read cost the agent at most ${MORE_MIB} MiB, all ${sum(neverReaders)} together`, async () => {
      await using stack = new AsyncDisposableStack();
      const idle = await settled(memory);
      const sources: Process[] = [];
      for (const count of neverReaders) {
        const source = stack.use(await guest.run(['sh', '-c', TRICKLE], { stdin: true, stdout: { delivery: 'latest' } }));
        sources.push(source);
        stack.use(await spawnReaders(address(), Array(count).fill(source.ref.processId))).stop();
      }
      for (const source of sources) await source.stdin.write('go\n');
      await sleep(NEVER_READ_MS);
      const held = await memory();
      say(
        `idle: ${describeMemory(idle)}; after ${NEVER_READ_MS / 1000} s of ${sum(neverReaders)} readers that do not read: ${describeMemory(held)}`,
      );
      assert.ok(held.privateMiB - idle.privateMiB <= MORE_MIB, `${(held.privateMiB - idle.privateMiB).toFixed(1)} MiB more`);
    });

    it(`are answered while another one saturates the agent with ${bulkStreams} streams`, async () => {
      await using stack = new AsyncDisposableStack();
      const asking = stack.use(await connect(address(), { name: 'asking' }));
      const shim = stack.use(await connectKata(address(), { protocol: 'ttrpc', timeoutMs: DIAL_MS }));
      const measure = async (what: string) => {
        const [own, kata] = await Promise.all([
          timeDuring(sleep(MEASURED_MS), () => asking.containers()),
          timeDuring(sleep(MEASURED_MS), () => shim.version()),
        ]);
        say(`${what}: Containers.List over gRPC ${describeTimes(own)}; Version over ttrpc ${describeTimes(kata)}`);
        return Math.max(...own, ...kata);
      };
      await measure('at rest');
      const streams = await zeros(bulkStreams);
      for (const stream of streams) stack.use(stream);
      const bulk = stack.use(await spawnReaders(address(), idsOf(streams), { oneConnection: true, primary: true }));
      await sleep(UNDER_WAY_MS);
      const from = bulk.bytes;
      const worst = await measure(`beside ${bulkStreams} streams of another client`);
      say(`which had ${((bulk.bytes - from) / MEASURED_MS / 1000).toFixed(1)} MB/s meanwhile`);
      assert.ok(bulk.bytes > from, 'the bulk client got something too');
      assert.ok(worst < NEVER_MS, `${worst} ms`);
    });

    it('share what can be sent, each the same, however many streams it has', async () => {
      await using stack = new AsyncDisposableStack();
      const streams = await zeros(bulkStreams - 1);
      for (const stream of streams) stack.use(stream);
      const ids = idsOf(streams);
      const many = ids.splice(0, bulkStreams / 2);
      const clients = [many, ...ids.map((id) => [id])];
      // All in this program, so that its readers have the same share of the processor.
      const readers: { readonly bytes: number }[] = [];
      for (const of of clients) {
        const client = stack.use(await connect(address(), { name: 'bulk' }));
        const own = await Promise.all(of.map((id) => readStream(address(), id, { over: client, primary: true })));
        readers.push({
          get bytes() {
            return sum(own.map(({ bytes }) => bytes));
          },
        });
      }
      await sleep(UNDER_WAY_MS);
      const rates = await ratesOf(readers, 2 * MEASURED_MS);
      const index = fairness(rates);
      say(
        `${rates.length} clients, the first with ${many.length} streams: ${megabytes(rates)} MB/s, Jain's index ${index.toFixed(4)}`,
      );
      // Where clients are slower than the agent, what one does not take is another's; to the byte it is tested in scheduler.spec.ts.
      assert.ok(index > 0.85, `${index}`);
    });

    it(`are all answered when there are ${clientCount}, ${busyClients} of them busy`, async () => {
      await using stack = new AsyncDisposableStack();
      const before = await settled(memory);
      // All dial at the same moment.
      const clients = await Promise.all(
        Array.from({ length: clientCount - busyClients }, (_, index) =>
          connectKata(address(), { protocol: index % 2 === 0 ? 'ttrpc' : 'grpc', timeoutMs: DIAL_MS }),
        ),
      );
      for (const client of clients) stack.use(client);
      await Promise.all(clients.map((client) => client.version()));
      const idle = await settled(memory);
      const each = (1024 * (idle.privateMiB - before.privateMiB)) / clients.length;
      say(
        `${clients.length} idle clients, half of them gRPC: ${each.toFixed(0)} KiB each (${describeMemory(before)}; ${describeMemory(idle)})`,
      );
      const streams = await zeros(busyClients);
      for (const stream of streams) stack.use(stream);
      const busy = stack.use(await spawnReaders(address(), idsOf(streams), { primary: true }));
      await sleep(UNDER_WAY_MS);
      const from = busy.bytes;
      const times: number[] = [];
      const until = performance.now() + 2 * MEASURED_MS;
      const ask = async (client: (typeof clients)[number]) => {
        do {
          const asked = performance.now();
          await client.version();
          times.push(performance.now() - asked);
          await sleep(1_000 + 1_000 * Math.random());
        } while (performance.now() < until);
      };
      await Promise.race([
        Promise.all(clients.map(ask)),
        sleep(2 * MEASURED_MS + SMALL_CALL_MS, undefined, { ref: false }).then(() => assert.fail('a client starves')),
      ]);
      say(`${clients.length} clients ask beside ${busyClients} busy ones: ${describeTimes(times)}`);
      assert.ok(Math.max(...times) < NEVER_MS);
      assert.ok(busy.bytes > from, 'the busy ones got something too');
      assert.ok(idle.privateMiB - before.privateMiB < 16, `${each} KiB a client`);
    });
  });
}

const idsOf = (processes: readonly Process[]) => processes.map(({ ref }) => ref.processId);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const megabytes = (rates: readonly number[]) => rates.map((rate) => (rate / 1e6).toFixed(1)).join(' ');

/** After it has given back what earlier work left. */
async function settled(memory: () => Promise<AgentMemory>): Promise<AgentMemory> {
  await sleep(SETTLED_MS);
  return await memory();
}

async function goesOn(reader: ReaderProgram): Promise<void> {
  const from = reader.bytes;
  for (const until = performance.now() + SMALL_CALL_MS; reader.bytes === from; await sleep(50)) {
    assert.ok(performance.now() < until, 'the reader that was stopped goes on');
  }
}
