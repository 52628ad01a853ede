// `berth attach`: this terminal or these pipes become those of a process that runs already.
import { AgentError } from '../../agent/errors.ts';
import type { Position } from '../api/attachment.ts';
import type { Process } from '../api/process.ts';
import { exitOfSignal } from '../exit-status.ts';
import { writeText } from './fd-output.ts';
import { nameOf, onlyName, parseProcessName, processNamed } from './process-name.ts';
import { SESSION_OPTIONS, sessionOptions } from './process-options.ts';
import { DRAIN_MS, Session } from './session.ts';
import { numberOf, SignalRelay } from './signal-relay.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

export const attach: Verb = {
  name: 'attach',
  usage: '[OPTIONS] CONTAINER[/PROCESS]',
  summary: 'Ties this terminal to a process that runs.',
  description:
    "Its exit status becomes berth's own. Output begins where the last one who was attached has left it, and with what comes\n" +
    'from now on where nobody was; `berth logs` shows what was before.',
  options: {
    ...TARGET_OPTIONS,
    ...SESSION_OPTIONS,
    stdin: { kind: 'flag', on: true, help: '(default) pass stdin on; --no-stdin does not' },
    replay: { kind: 'flag', help: 'begin with the oldest output that is kept' },
  },

  async run(args) {
    const name = onlyName(args.positionals);
    parseProcessName(name);
    const options = sessionOptions(args);
    using relay = new SignalRelay();
    const opened = await openTarget(args, { signal: relay.aborted }).catch(relay.unlessInterrupted);
    if (opened === undefined) return exitOfSignal(numberOf(relay.pending!));
    await using target = opened;
    const state = await (await processNamed(target.guest, name)).inspect();
    if (state.exit) {
      throw new AgentError('failed_precondition', `${name} has ended: \`berth logs ${name}\` shows what is kept of its output`);
    }
    const { from, primary } = whereToBegin(state, args.flag('replay'));
    const process = await processNamed(target.guest, name, { from, primary, drainMs: DRAIN_MS });
    const interactive = args.flag('stdin') && state.stdin?.closed !== true;
    const status = await new Session(process, relay, { ...options, interactive }).run(async () => {});
    if (status !== 'detached') return status;
    await writeText(2, `\r\nberth: left it running; \`berth attach ${nameOf(process.ref)}\` goes back\n`);
    return 0;
  },
};

/**
 * Alone, it is the reader for whom output is kept: it goes on where the one before has left, and a process that was held back runs on.
 * Beside another one it takes nothing away from that.
 */
function whereToBegin(state: Awaited<ReturnType<Process['inspect']>>, replay: boolean): { from: Position; primary: boolean } {
  const outputs = [state.stdout, state.stderr].flatMap((output) => (output ? [output] : []));
  const primary = outputs.every(({ readers }) => (readers ?? 0) === 0);
  const left = outputs.some(({ acknowledged, heldBack }) => (acknowledged ?? 0n) > 0n || heldBack);
  return { primary, from: replay ? 'start' : primary && left ? 'acknowledged' : 'end' };
}
