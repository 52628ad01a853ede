// `berth port-forward`: ports and Unix sockets of this machine that lead into a guest or a container, until interrupted.
import { AgentError } from '../../agent/errors.ts';
import type { Forward } from '../api/forward.ts';
import { exitOfSignal } from '../exit-status.ts';
import { errorLine } from './failure.ts';
import { writeText } from './fd-output.ts';
import { type ForwardPlan, isForward, parseForward, placeText, targetText } from './forward-text.ts';
import { numberOf, SignalRelay } from './signal-relay.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const portForward: Verb = {
  name: 'port-forward',
  usage: '[OPTIONS] [CONTAINER] [[HOST_IP:]HOST_PORT:]PORT...',
  summary: 'Leads ports of this machine into a VM or a container.',
  description:
    'Of the container, or without one of the guest itself. Listens on 127.0.0.1 unless an address is given, until interrupted;\n' +
    '`:80` takes any free port, `8080:10.0.0.2:80` leads to that address, `8080:/run/app.sock` to a Unix socket there, and\n' +
    '`/tmp/app.sock:80` makes a Unix socket here. Each side of a connection ends for itself, and a reset is a reset.',
  options: { ...TARGET_OPTIONS },

  async run(args) {
    const [first = ''] = args.positionals;
    const container = isForward(first) ? undefined : first;
    const plans = (container === undefined ? args.positionals : args.positionals.slice(1)).map(parseForward);
    if (plans.length === 0) throw new AgentError('invalid_argument', 'give a port to forward, e.g. 8080:80');
    using relay = new SignalRelay();
    await using target = await openTarget(args, { signal: relay.aborted });
    const { guest } = target;
    const place = container === undefined ? guest : guest.container(container);
    if (container !== undefined) await guest.container(container).inspect();
    const onError = (error: Error) => void writeText(2, `berth: ${errorLine(error)}\n`).catch(() => {});
    const forwards: Forward[] = [];
    try {
      for (const plan of plans) {
        const forward = await place.forward({ ...plan, onError });
        forwards.push(forward);
        await writeText(1, `${line(plan, forward.port, container)}\n`);
      }
      return await new Promise<number>((resolve) => relay.passTo((signal) => resolve(exitOfSignal(numberOf(signal)))));
    } finally {
      await Promise.all(forwards.map((forward) => forward.close()));
    }
  },
};

function line(plan: ForwardPlan, port: number, container: string | undefined): string {
  return `${placeText(plan, port)} leads to ${targetText(plan)} of ${container === undefined ? 'the guest' : `container ${container}`}`;
}
