// `berth vm stop`: ends VMs, containers and all.
import { EXIT_BERTH } from '../exit-status.ts';
import { listVms, stopVm } from '../vm/named.ts';
import type { VmState } from '../vm/vm-state.ts';
import { reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { DEFAULT_VM, openGuest } from './target.ts';
import type { Verb } from './verb.ts';

/** For containers to end by themselves. */
const GRACE_MS = 2_000;

export const vmStop: Verb = {
  name: 'vm stop',
  usage: '[OPTIONS] [NAME...]',
  summary: 'Stops VMs.',
  description: `The VM named ${DEFAULT_VM} (or $BERTH_VM) unless told. It powers off by itself where its agent answers.`,
  options: {
    all: { kind: 'flag', short: 'a', help: 'every VM of this user' },
    force: { kind: 'flag', short: 'f', help: 'do not let the guest power off: pull its plug' },
  },

  async run(args) {
    const named = args.positionals.length > 0 ? args.positionals : [process.env['BERTH_VM'] ?? DEFAULT_VM];
    const names = args.flag('all') ? listVms().map(({ name }) => name) : named;
    const results = await Promise.all(names.map((name) => stopOne(name, args.flag('force'))));
    return Math.max(0, ...results);
  },
};

async function stopOne(name: string, force: boolean): Promise<number> {
  try {
    await stopVm(name, force ? {} : { graceful: powerOff });
    await writeText(1, `${name}\n`);
    return 0;
  } catch (error) {
    return await reportError(error, EXIT_BERTH);
  }
}

/** The agent answers, then ends; PID 1 powers the guest off. */
async function powerOff({ address }: VmState): Promise<void> {
  if (address === undefined) return;
  await using guest = await openGuest(address);
  await guest.shutdown({ deadlineMs: GRACE_MS });
}
