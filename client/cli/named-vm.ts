// The VMs that `berth vm start` has started, as the other verbs see them.
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, hasCode } from '../../agent/errors.ts';
import { diskDevices, rootDisks } from '../root-disks.ts';
import { SHARE_TAG } from '../rootfs.ts';
import { findVm, type StartVmHooks, startVm } from '../vm/named.ts';
import type { NamedBootOptions } from '../vm/supervisor-messages.ts';
import type { VmState } from '../vm/vm-state.ts';
import { writeText } from './fd-output.ts';

/** Where a VM is and what it has for containers. */
export interface NamedVm {
  address: string;
  disks: Readonly<Record<string, string>>;
  share?: string;
}

const POLL_MS = 100;

/** The VM of that name once it runs; undefined when there is none. One that is just being started is waited for. */
export async function findRunningVm(name: string, signal?: AbortSignal): Promise<NamedVm | undefined> {
  for (;;) {
    const state = findVm(name);
    if (state === undefined || state.status === 'running') return state && placeOf(state);
    signal?.throwIfAborted();
    await sleep(POLL_MS);
  }
}

/**
 * Starts a VM with the disks that containers have their roots from.
 * @throws AgentError as the launcher does, `already_exists` included
 */
export async function startNamedVm(name: string, options: NamedBootOptions, hooks: StartVmHooks): Promise<VmState> {
  return await startVm(name, { ...options, disks: [...rootDisks(), ...(options.disks ?? [])] }, hooks);
}

/** For `berth run`: the VM of that name, started where it does not run. */
export async function findOrStartVm(name: string, signal?: AbortSignal): Promise<NamedVm> {
  const running = await findRunningVm(name, signal);
  if (running !== undefined) return running;
  await writeText(2, `berth: no VM named '${name}' is running; starting it (\`berth vm stop ${name}\` ends it)\n`);
  try {
    return placeOf(await startNamedVm(name, {}, signal === undefined ? {} : { signal }));
  } catch (error) {
    // Another berth was faster.
    const other = hasCode(error, 'already_exists') ? await findRunningVm(name, signal) : undefined;
    if (other === undefined) throw error;
    return other;
  }
}

function placeOf({ name, address, disks, shares }: VmState): NamedVm {
  if (address === undefined) throw new AgentError('internal', `VM ${name} runs without an address`, { fields: { name } });
  const share = shares.find(({ tag }) => tag === SHARE_TAG)?.dir;
  return { address, disks: diskDevices(disks), ...(share === undefined ? {} : { share }) };
}
