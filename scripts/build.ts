// Builds everything the jobs need, each step only when its inputs have changed.
// `build.ts code` stops after what compiling and checking need; `build.ts everything` goes on to the guest.
import path from 'node:path';
import { CommandError, say } from './bootstrap/progress.mjs';
import { lock } from './build/lock.ts';
import { BUILD } from './build/paths.ts';
import { buildAgent } from './build-agent.ts';
import { buildImage } from './build-image.ts';
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
    await buildNative();
    await buildInit();
    await buildAgent();
    await buildTools();
    await buildImage();
    say('everything is built');
  } finally {
    unlock();
  }
}

try {
  await build(process.argv[2] ?? 'everything');
} catch (error) {
  console.error(error instanceof CommandError ? error.message : error);
  process.exitCode = 1;
}
