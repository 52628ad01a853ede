// `berth kill`: a signal to the init process of containers.
import { AgentError } from '../../agent/errors.ts';
import { EXIT_BERTH } from '../exit-status.ts';
import { signalNumber } from '../signals.ts';
import { reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const kill: Verb = {
  name: 'kill',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Sends a signal to containers.',
  description: 'KILL, the default, reaches every process of a container; any other signal its init process.',
  options: {
    ...TARGET_OPTIONS,
    signal: { kind: 'text', short: 's', value: 'SIGNAL', help: 'name or number (default KILL)' },
  },

  async run(args) {
    if (args.positionals.length === 0) throw new AgentError('invalid_argument', 'give a container');
    const signal = signalNumber(args.text('signal') ?? 'KILL');
    await using target = await openTarget(args, {});
    const states = new Map((await target.agent.containers()).map(({ id, state }) => [id, state]));
    let status = 0;
    for (const containerId of args.positionals) {
      try {
        const state = states.get(containerId);
        if (state === 'stopped') throw new AgentError('failed_precondition', `container ${containerId} is not running`);
        await target.agent.kata.signalProcess({ containerId, execId: '', signal });
        await writeText(1, `${containerId}\n`);
      } catch (error) {
        status = await reportError(error, EXIT_BERTH);
      }
    }
    return status;
  },
};
