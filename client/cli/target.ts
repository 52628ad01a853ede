// Which guest a verb talks to: an address, or a VM by its name.
import { isAbsolute, relative } from 'node:path';
import { AgentError } from '../../agent/errors.ts';
import { connect, type Guest } from '../api/guest.ts';
import type { Arguments } from './arguments.ts';
import type { NamedVm } from './named-vm.ts';

export interface Target extends AsyncDisposable {
  guest: Guest;
  address: string;
  /** Device in the guest of each named root. */
  disks: Readonly<Record<string, string>>;
  /** The directory of this machine that the VM shares. */
  share?: string;
}

export interface TargetOptions {
  /** Start the VM where it is not running. */
  start?: boolean;
  signal?: AbortSignal;
}

export const DEFAULT_VM = 'default';

/** For an agent that has answered before: it may be restarted, or its VM stopped for a while. */
const PATIENCE_S = 15;

/** @throws AgentError with what to do, where there is no agent */
export async function openTarget(args: Arguments, { start, signal }: TargetOptions): Promise<Target> {
  const place = await findPlace(args, start ?? false, signal);
  const guest = await openGuest(place.address, signal);
  return { ...place, guest, [Symbol.asyncDispose]: () => guest.close() };
}

/** As every verb dials: an agent that is up answers at once, one that goes away is waited for. */
export function openGuest(address: string, signal?: AbortSignal): Promise<Guest> {
  const options = { name: 'berth', firstDial: 'once', patienceMs: readPatience() * 1000 } as const;
  return connect(address, { ...options, ...(signal === undefined ? {} : { signal }) });
}

/** A directory of this machine that lies in what the VM shares, as the name the guest knows it by. */
export function shareDirectory(rootfs: string, { share }: Pick<Target, 'share'>): string {
  const directory = rootfs.slice('share:'.length);
  if (!rootfs.startsWith('share:') || share === undefined || !isAbsolute(directory)) return rootfs;
  const inside = relative(share, directory);
  if (inside.startsWith('..') || isAbsolute(inside)) {
    throw new AgentError('invalid_argument', `${directory} is not in ${share}, which is what this VM shares`, {
      fields: { field: 'rootfs' },
    });
  }
  return `share:${inside}`;
}

/** Without connecting. @throws AgentError with what to do, where there is no VM of that name */
export async function findPlace(args: Arguments, start: boolean, signal?: AbortSignal): Promise<NamedVm> {
  const vm = args.text('vm');
  const address = args.text('address') ?? (vm === undefined ? process.env['BERTH_ADDRESS'] : undefined);
  if (address !== undefined) {
    if (vm !== undefined) throw new AgentError('invalid_argument', 'give --vm or --address, not both');
    return { address, disks: {} };
  }
  const name = vm ?? process.env['BERTH_VM'] ?? DEFAULT_VM;
  // Not needed with an address, and the launcher takes a while to load.
  const { findOrStartVm, findRunningVm } = await import('./named-vm.ts');
  return start ? await findOrStartVm(name, signal) : ((await findRunningVm(name, signal)) ?? noVm(name));
}

function noVm(name: string): never {
  const more = name === DEFAULT_VM ? '' : ` --name ${name}`;
  throw new AgentError('failed_precondition', `no VM named '${name}' is running; start it with \`berth vm start${more}\``);
}

function readPatience(): number {
  const text = process.env['BERTH_PATIENCE'];
  if (text === undefined || text === '') return PATIENCE_S;
  if (/^\d{1,5}(\.\d+)?$/.test(text)) return Number(text);
  throw new AgentError('invalid_argument', `invalid BERTH_PATIENCE '${text}': give seconds`, {
    fields: { field: 'BERTH_PATIENCE' },
  });
}
