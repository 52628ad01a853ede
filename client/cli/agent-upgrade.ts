// `berth agent upgrade`: a new agent in a running guest, and everything in it goes on.
import { join } from 'node:path';
import { AgentError } from '../../agent/errors.ts';
import type { AgentGeneration } from '../api/upgrade.ts';
import { projectRoot } from '../vm/project-root.ts';
import { writeText } from './fd-output.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const agentUpgrade: Verb = {
  name: 'agent upgrade',
  usage: '[OPTIONS] [DIR]',
  summary: "Replaces a VM's agent while its containers run.",
  description: [
    'DIR holds the agent as `npm run build` leaves it in build/agent, which is what is taken unless told. The new agent takes over what runs',
    "as after a restart. One that does not come up is given up for the agent of the guest's image; the status is 125 then.",
  ].join('\n'),
  options: {
    ...TARGET_OPTIONS,
    json: { kind: 'flag', help: 'an object {from, to, silentMs}' },
  },

  async run(args) {
    const [directory = join(projectRoot, 'build/agent'), ...rest] = args.positionals;
    if (rest.length > 0) throw new AgentError('invalid_argument', 'give one directory');
    await using target = await openTarget(args, {});
    const upgraded = await target.guest.upgrade(directory);
    const { from, to, silentMs } = upgraded;
    const text = `${tell(from)} -> ${tell(to)}; nobody answered for ${(silentMs / 1000).toFixed(1)} s\n`;
    await writeText(1, args.flag('json') ? `${JSON.stringify(upgraded)}\n` : text);
    return 0;
  },
};

function tell({ version, commit, generation }: AgentGeneration): string {
  return `${version} (${commit}, generation ${generation})`;
}
