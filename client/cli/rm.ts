// `berth rm`: removes containers and everything the guest holds for them.
import { AgentError } from '../../agent/errors.ts';
import { EXIT_BERTH } from '../exit-status.ts';
import { isUp, listContainers } from './container-list.ts';
import { reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { namesOf } from './process-name.ts';
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
    const ids = namesOf(args.positionals);
    const force = args.flag('force');
    await using target = await openTarget(args, {});
    const containers = new Map((await listContainers(target.guest)).map((container) => [container.id, container]));
    let status = 0;
    for (const id of ids) {
      const container = containers.get(id);
      if (container === undefined && force) continue;
      try {
        if (container === undefined)
          throw new AgentError('not_found', `container \`${id}\` not found`, { fields: { container: id } });
        if (!force && isUp(container)) {
          throw new AgentError(
            'failed_precondition',
            `container ${id} is ${container.state}: \`berth kill\` it first, or use rm -f`,
          );
        }
        await target.guest.container(id).remove();
        await writeText(1, `${id}\n`);
      } catch (error) {
        status = await reportError(error, EXIT_BERTH);
      }
    }
    return status;
  },
};
