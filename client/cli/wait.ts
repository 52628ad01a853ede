// `berth wait`: the end of containers and processes.

import { type Ending, exitStatus } from '../api/ending.ts';
import type { Guest } from '../api/guest.ts';
import { EXIT_BERTH } from '../exit-status.ts';
import { reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { namesOf, processNamed } from './process-name.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const wait: Verb = {
  name: 'wait',
  usage: '[OPTIONS] CONTAINER[/PROCESS]...',
  summary: 'Waits until containers or processes have ended.',
  description:
    "Prints the exit status of each, a line each in the order given, and ends with the last one's; 125 when that of one is not known.\n" +
    'One that has ended already is answered at once, as often as asked.',
  options: {
    ...TARGET_OPTIONS,
    json: { kind: 'flag', help: 'an object a line: process, status, and how it ended' },
  },

  async run(args) {
    const names = namesOf(args.positionals);
    await using target = await openTarget(args, {});
    const endings = names.map((name) => endingOf(target.guest, name));
    let status = 0;
    let failed = false;
    for (const [at, ending] of endings.entries()) {
      try {
        const ended = await ending;
        status = exitStatus(ended);
        await writeText(1, args.flag('json') ? `${JSON.stringify(endingRow(names[at]!, ended))}\n` : `${status}\n`);
      } catch (error) {
        failed = true;
        await reportError(error, EXIT_BERTH);
      }
    }
    return failed ? EXIT_BERTH : status;
  },
};

function endingOf(guest: Guest, name: string): Promise<Ending> {
  const ending = processNamed(guest, name).then((process) => process.wait());
  // Told in its turn.
  ending.catch(() => {});
  return ending;
}

function endingRow(name: string, ending: Ending): object {
  return { process: name, status: exitStatus(ending), ...ending };
}
