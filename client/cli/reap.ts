// `berth reap`, which `run -d --rm` leaves behind: removes the container when it has ended.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { exitStatus } from '../api/ending.ts';
import { onlyName } from './process-name.ts';
import { openTarget, type Target } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const reap: Verb = {
  name: 'reap',
  usage: '[OPTIONS] CONTAINER',
  summary: "Removes a container when it has ended; berth's own.",
  options: TARGET_OPTIONS,

  async run(args) {
    const id = onlyName(args.positionals);
    await using target = await openTarget(args, {});
    const container = target.guest.container(id);
    const ending = await (await container.attach('')).wait();
    await container.remove();
    return exitStatus(ending);
  },
};

/** Starts the above in the background; it outlives this command. */
export async function leaveReaping(target: Target, containerId: string): Promise<void> {
  const args = ['reap', '--address', target.address, containerId];
  const child = spawn(join(import.meta.dirname, '../berth'), args, { detached: true, stdio: 'ignore' });
  child.unref();
  await once(child, 'spawn');
}
