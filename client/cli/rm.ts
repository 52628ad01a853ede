// `berth rm`: removes containers and everything the guest holds for them.
import { AgentError } from '../../agent/errors.ts';
import { EXIT_BERTH } from '../exit-status.ts';
import { reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const rm: Verb = {
  name: 'rm',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Removes containers.',
  options: {
    ...TARGET_OPTIONS,
    force: { kind: 'flag', short: 'f', help: 'kill what still runs; a container that is not there is no error' },
  },

  async run(args) {
    if (args.positionals.length === 0) throw new AgentError('invalid_argument', 'give a container');
    const force = args.flag('force');
    await using target = await openTarget(args, {});
    const states = new Map((await target.agent.containers()).map(({ id, state }) => [id, state]));
    let status = 0;
    for (const containerId of args.positionals) {
      const state = states.get(containerId);
      if (state === undefined && force) continue;
      try {
        if (!force && (state === 'running' || state === 'paused')) {
          throw new AgentError(
            'failed_precondition',
            `container ${containerId} is ${state}: \`berth kill\` it first, or use rm -f`,
          );
        }
        await target.agent.kata.removeContainer({ containerId });
        await writeText(1, `${containerId}\n`);
      } catch (error) {
        status = await reportError(error, EXIT_BERTH);
      }
    }
    return status;
  },
};
