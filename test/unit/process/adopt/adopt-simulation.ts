// Streams of one process over the lives of several agents, under a seeded schedule: an agent dies before or after any of its calls into the
// kernel, in the middle of taking over too. Compared with a model that never dies. BERTH_SEED=<n> replays one run.
import assert from 'node:assert/strict';
import { Random } from '../stream/schedule.ts';
import { type AdoptCore, Input, Output, settled } from './adopt-model.ts';
import { install, Life, real } from './dying-agent.ts';
import { copies, HeldFds } from './held-fds.ts';

const DRAIN_MS = 500;

/** @returns how often an agent died @throws AssertionError naming the seed */
export async function simulateDeaths(core: AdoptCore, seed: number, steps = 250): Promise<number> {
  const uninstall = install();
  const held = new HeldFds();
  try {
    return await runDeaths(core, new Random(seed), held, steps);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  } finally {
    held.close();
    uninstall();
  }
}

async function runDeaths(core: AdoptCore, random: Random, held: HeldFds, steps: number): Promise<number> {
  const terminal = random.chance(0.3);
  const key = core.newStdioKey();
  const budget = () => new core.Budget(1 << 22);
  let life = new Life();
  const random2 = new Random(random.below(1 << 30));
  let outputs: Output[] = [];
  let input!: Input;
  const first = await life.runAsync(async () => {
    const modes = new Map<string, object>();
    const probe = new Random(random.below(1 << 30));
    outputs = (terminal ? ['stdout'] : ['stdout', 'stderr']).map((name) => new Output(core, probe, name as 'stdout', -1));
    for (const { name, shadow } of outputs) modes.set(name, shadow.retention);
    const options = {
      terminal,
      budget: budget(),
      output: { ...Object.fromEntries(modes), drainMs: DRAIN_MS },
      runtimeDir: '/nonexistent',
      pipeSizeBytes: 4096,
      keep: { store: held.for(life), key },
    };
    const prepared = terminal
      ? await core.prepareOwnTerminal(options, undefined, ownTerminal(life))
      : await core.prepareStdio(options);
    const ends = copies(prepared.childFds);
    if (terminal) real.makeRaw(ends[0]!);
    for (const fd of ends) real.watchWritable(fd, () => {}).close();
    input = new Input(random2, ends[0], terminal);
    if (terminal) {
      outputs[0]!.writeEnd = ends[1];
      real.close(ends[2]!);
    } else for (const [at, output] of outputs.entries()) output.writeEnd = ends[at + 1];
    return await prepared.attach();
  });
  let stdio = first!;
  for (const part of [...outputs, input]) part.attach(stdio);
  let deaths = 0;
  let exited = false;

  const nextAgent = async () => {
    for (const output of outputs) output.died();
    for (;;) {
      deaths++;
      life.bury();
      life = new Life();
      if (random.chance(0.3)) arm(life, random);
      const adopted = await life.runAsync(() => core.adoptStdio({ store: held.for(life), key }, { budget: budget() }));
      if (adopted === undefined || life.dead) continue;
      stdio = adopted;
      break;
    }
    for (const part of [...outputs, input]) part.attach(stdio);
    if (exited) life.run(() => stdio.processExited());
  };

  for (let step = 0; step < steps; step++) {
    const output = random.of(outputs);
    switch (random.below(12)) {
      case 0:
      case 1:
        output.write();
        break;
      case 2:
      case 3:
        life.poll();
        break;
      case 4:
      case 5:
        output.read(life);
        break;
      case 6:
        output.ack(life);
        break;
      case 7:
        await input.write(life);
        break;
      case 8:
        input.take();
        break;
      case 9:
        life.advance(random.below(300));
        break;
      case 10:
        if (random.chance(0.5)) arm(life, random);
        break;
      default:
        if (step > steps / 2 && random.chance(0.1)) {
          exited = true;
          life.run(() => stdio.processExited());
        }
        if (random.chance(0.1)) life.dead = true;
    }
    await settled();
    if (life.dead) await nextAgent();
    else for (const each of outputs) each.check();
  }
  if (life.killIn !== undefined) {
    life.dead = true;
    await nextAgent();
  }
  life.killIn = undefined;
  for (let round = 0; !input.ended; round++) {
    assert.ok(
      round < 400,
      `input is stuck: ${stdio.stdin.state}, ${stdio.stdin.accepted} accepted, ${stdio.stdin.delivered} delivered`,
    );
    await input.write(life);
    life.poll();
    input.take();
    for (const output of outputs) output.finished(life);
  }
  input.checkFinished();
  if (input.readEnd !== undefined) real.close(input.readEnd);
  for (let round = 0; !outputs.every((output) => output.finished(life)); round++) {
    assert.ok(round < 400, `output is stuck: ${outputs.map(({ log, written }) => `${log.end} of ${written} ${log.ending}`)}`);
    life.poll();
    life.advance(100);
    for (const output of outputs) output.check();
  }
  for (const output of outputs) output.checkFinished();
  life.run(() => stdio.close());
  assert.deepEqual([...life.fds], [], 'an fd was left open');
  assert.equal(held.size, 0, 'something is still kept');
  life.bury();
  return deaths;
}

/** It will die within the next calls. */
function arm(life: Life, random: Random): void {
  if (life.killIn !== undefined) return;
  life.killIn = random.below(12);
  life.killBefore = random.chance(0.5);
}

function ownTerminal(life: Life) {
  return {
    openPty: () => {
      const made = real.openPty();
      life.owns([made.master, made.slave]);
      return made;
    },
    close: (fd: number) => {
      life.fds.delete(fd);
      real.close(fd);
    },
    setWinsize: () => {},
  };
}
