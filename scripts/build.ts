// Builds everything the jobs need, each step only when its inputs have changed.
// `build.ts code` stops after what compiling and checking need; `build.ts everything` goes on to the guest.
import path from 'node:path';
import { CommandError, say } from './bootstrap/progress.mjs';
import { lock } from './build/lock.ts';
import { BUILD } from './build/paths.ts';
import { buildAgent } from './build-agent.ts';
import { buildKit, buildRoot } from './build-image.ts';
import { buildInit } from './build-init.ts';
import { buildNative } from './build-native.ts';
import { buildProto } from './build-proto.ts';
import { buildTools } from './build-tools.ts';

async function build(extent: string): Promise<void> {
  if (extent !== 'code' && extent !== 'everything') throw new CommandError('usage: build.ts code|everything');
  const unlock = await lock(path.join(BUILD, '.lock'));
  try {
    const { built } = await buildProto();
    say(`protocol code: ${built ? 'generated' : 'reused'}`);
    if (extent === 'code') return;
    // The first waits for the compiler, the second mostly for packages.
    await both(
      async () => {
        await buildNative();
        await buildInit();
        await buildAgent();
      },
      async () => {
        await buildTools();
        await buildKit();
      },
    );
    await buildRoot();
    say('everything is built');
  } finally {
    unlock();
  }
}

/** Runs two chains side by side; a failure of one is told when the other has ended too. */
async function both(...chains: (() => Promise<void>)[]): Promise<void> {
  const outcomes = await Promise.allSettled(chains.map((chain) => chain()));
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason as unknown);
  for (const failure of failures.slice(1)) report(failure);
  if (failures.length > 0) throw failures[0];
}

function report(error: unknown): void {
  console.error(error instanceof CommandError ? error.message : error);
}

try {
  await build(process.argv[2] ?? 'everything');
} catch (error) {
  report(error);
  process.exitCode = 1;
}
