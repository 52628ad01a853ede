// `berth kill`: a signal to containers, or to processes in them.
import { AgentError } from '../../agent/errors.ts';
import type { Guest } from '../api/guest.ts';
import type { KillOptions } from '../api/process.ts';
import { EXIT_BERTH } from '../exit-status.ts';
import { SIGKILL, signalNumber } from '../signals.ts';
import type { Arguments } from './arguments.ts';
import { reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { namesOf, processNamed } from './process-name.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const kill: Verb = {
  name: 'kill',
  usage: '[OPTIONS] CONTAINER[/PROCESS]...',
  summary: 'Sends a signal to containers and processes.',
  description:
    'KILL, the default, reaches everything that a container or process has started; any other signal only itself,\n' +
    'unless --tree is given.',
  options: {
    ...TARGET_OPTIONS,
    signal: { kind: 'text', short: 's', value: 'SIGNAL', help: 'name or number (default KILL)' },
    tree: { kind: 'flag', help: 'everything it has started as well, whatever that did to get away' },
    grace: { kind: 'text', value: 'SECONDS', help: 'wait so long, then kill what is left' },
  },

  async run(args) {
    const names = namesOf(args.positionals);
    const signal = signalNumber(args.text('signal') ?? 'KILL');
    const options = killOptions(args, signal);
    await using target = await openTarget(args, {});
    let status = 0;
    for (const name of names) {
      try {
        await killOne(target.guest, name, signal, options);
        await writeText(1, `${name}\n`);
      } catch (error) {
        status = await reportError(error, EXIT_BERTH);
      }
    }
    return status;
  },
};

async function killOne(guest: Guest, name: string, signal: number, options: KillOptions): Promise<void> {
  const process = await processNamed(guest, name);
  const { exit } = await process.inspect();
  if (exit) {
    const what = process.ref.processId === '' ? 'container' : 'process';
    throw new AgentError('failed_precondition', `${what} ${name} is not running`);
  }
  const left = await process.kill(signal, options);
  if (left.length > 0) throw new AgentError('deadline_exceeded', `${name}: processes ${left.join(' ')} hang in the kernel`);
}

function killOptions(args: Arguments, signal: number): KillOptions {
  const grace = args.text('grace');
  if (grace !== undefined && !/^\d{1,3}(\.\d+)?$/.test(grace)) {
    throw new AgentError('invalid_argument', `invalid --grace '${grace}': give seconds`, { fields: { field: 'grace' } });
  }
  return {
    scope: args.flag('tree') || signal === SIGKILL ? 'tree' : 'leader',
    ...(grace === undefined ? {} : { graceMs: Math.round(Number(grace) * 1000) }),
  };
}
