// `berth exec`: one more process in a running container.
import { AgentError } from '../../agent/errors.ts';
import { execProcess } from '../container.ts';
import { exitOfSignal, exitOfStartError } from '../exit-status.ts';
import { leaveDraining } from './drain.ts';
import { reportError } from './failure.ts';
import { PROCESS_OPTIONS, processOptions, userOption } from './process-options.ts';
import { Session } from './session.ts';
import { numberOf, SignalRelay } from './signal-relay.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const exec: Verb = {
  name: 'exec',
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  summary: 'Runs a command in a running container.',
  description:
    "Its exit status becomes berth's own; 126 and 127 mean that it can't be run or is not there, 125 that berth failed.",
  options: { ...PROCESS_OPTIONS, ...TARGET_OPTIONS },
  commandFollows: true,

  async run(args) {
    const [containerId, ...command] = args.positionals;
    if (containerId === undefined || command.length === 0) {
      throw new AgentError('invalid_argument', 'give a container and a command, e.g. berth exec -it NAME sh');
    }
    const options = { ...(await processOptions(args)), ...userOption(args), args: command };
    using relay = new SignalRelay();
    const opened = await openTarget(args, { signal: relay.aborted }).catch(relay.unlessInterrupted);
    if (opened === undefined) return exitOfSignal(numberOf(relay.pending!));
    await using target = opened;
    const started = await execProcess(target.agent.kata, containerId, options).catch((error: unknown) =>
      reportError(error, exitOfStartError(error)),
    );
    if (typeof started === 'number') return started;
    if (args.flag('detach')) {
      if (!args.flag('interactive') && !started.tty) await started.stdin.end().catch(() => {});
      await leaveDraining(target, started.address, { tty: started.tty, rm: false });
      return 0;
    }
    if (relay.pending !== undefined && !args.flag('tty') && !args.flag('sig-proxy')) return exitOfSignal(numberOf(relay.pending));
    const session = new Session(started, relay, { interactive: args.flag('interactive'), sigProxy: args.flag('sig-proxy') });
    return await session.run(async () => {});
  },
};
