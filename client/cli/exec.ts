// `berth exec`: one more process in a running container.
import { AgentError } from '../../agent/errors.ts';
import type { Process } from '../api/process.ts';
import type { StartOptions } from '../api/start.ts';
import type { ProcessOptions } from '../default-spec.ts';
import { exitOfSignal, exitOfStartError } from '../exit-status.ts';
import type { Arguments } from './arguments.ts';
import { reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { nameOf } from './process-name.ts';
import { DETACHED_OUTPUT, PROCESS_OPTIONS, processOptions, sessionOptions, userOption } from './process-options.ts';
import { DRAIN_MS, Session } from './session.ts';
import { numberOf, SignalRelay } from './signal-relay.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const exec: Verb = {
  name: 'exec',
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  summary: 'Runs a command in a running container.',
  description:
    "Its exit status becomes berth's own; 126 and 127 mean that it can't be run or is not there, 125 that berth failed.\n" +
    'With -d the name of the process is printed, CONTAINER/PROCESS, for logs, attach, wait and kill.',
  options: {
    ...PROCESS_OPTIONS,
    ...TARGET_OPTIONS,
    name: { kind: 'text', value: 'PROCESS', help: 'name of the process in its container (default one that the agent makes)' },
  },
  commandFollows: true,

  async run(args) {
    const [containerId, ...command] = args.positionals;
    if (containerId === undefined || command.length === 0) {
      throw new AgentError('invalid_argument', 'give a container and a command, e.g. berth exec -it NAME sh');
    }
    const session = sessionOptions(args);
    const options = startOptions(args, { ...(await processOptions(args)), ...userOption(args) });
    using relay = new SignalRelay();
    const opened = await openTarget(args, { signal: relay.aborted }).catch(relay.unlessInterrupted);
    if (opened === undefined) return exitOfSignal(numberOf(relay.pending!));
    await using target = opened;
    const started = await target.guest
      .container(containerId)
      .run(command, options)
      .catch((error: unknown) => reportError(error, exitOfStartError(error)));
    if (typeof started === 'number') return started;
    if (args.flag('detach')) {
      await writeText(1, `${nameOf(started.ref)}\n`);
      return 0;
    }
    if (relay.pending !== undefined && !args.flag('tty') && !args.flag('sig-proxy')) return exitOfSignal(numberOf(relay.pending));
    return await watch(started, new Session(started, relay, session));
  },
};

async function watch(started: Process, session: Session): Promise<number> {
  const status = await session.run(async () => {});
  if (status === 'detached') {
    await writeText(2, `\r\nberth: left it running; \`berth attach ${nameOf(started.ref)}\` goes back\n`);
    return 0;
  }
  // Nobody asks for its output again.
  await started.forget().catch(() => {});
  return status;
}

/** It lives as long as its container, whatever becomes of this program, as in docker. */
function startOptions(args: Arguments, { env, cwd, user, tty, size }: Omit<ProcessOptions, 'args'>): StartOptions {
  const id = args.text('name');
  return {
    ...(id === undefined ? {} : { id }),
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    terminal: tty ? (size ?? true) : false,
    stdin: args.flag('interactive'),
    lifetime: 'keep',
    ...(args.flag('detach') ? DETACHED_OUTPUT : { drainMs: DRAIN_MS }),
  };
}
