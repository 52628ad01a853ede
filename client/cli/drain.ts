// `berth drain`, which `run -d` and `exec -d` leave behind: reads and drops the output of a process that nobody watches, so
// that it never stands still before a full pipe, and removes the container at its end where `--rm` asked for it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { AgentError } from '../../agent/errors.ts';
import { GuestProcess, type ProcessAddress } from '../guest-process.ts';
import { openTarget, type Target } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const drain: Verb = {
  name: 'drain',
  usage: '[OPTIONS] CONTAINER [EXEC]',
  summary: "Drops the output of a detached process until it ends; berth's own.",
  options: {
    ...TARGET_OPTIONS,
    tty: { kind: 'flag', help: 'it has a terminal' },
    rm: { kind: 'flag', help: 'remove the container at the end' },
  },

  async run(args) {
    const [containerId, execId = ''] = args.positionals;
    if (containerId === undefined) throw new AgentError('invalid_argument', 'give a container');
    await using target = await openTarget(args, {});
    const status = await new GuestProcess(target.agent.kata, { containerId, execId }, args.flag('tty')).wait();
    if (args.flag('rm')) await target.agent.kata.removeContainer({ containerId });
    return status;
  },
};

/** Starts the above in the background; it outlives this command. */
export async function leaveDraining(
  target: Target,
  process_: ProcessAddress,
  options: { tty: boolean; rm: boolean },
): Promise<void> {
  const flags = [...(options.tty ? ['--tty'] : []), ...(options.rm ? ['--rm'] : [])];
  const args = ['--address', target.address, '--protocol', target.protocol, ...flags, process_.containerId, process_.execId];
  const child = spawn(join(import.meta.dirname, '../berth'), ['drain', ...args], { detached: true, stdio: 'ignore' });
  child.unref();
  await once(child, 'spawn');
}
