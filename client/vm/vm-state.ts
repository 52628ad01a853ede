// What is written down of a named VM, so that other commands find it: one directory a VM below the user's state
// directory, claimed whole by its supervisor. Nothing in it is trusted without the processes that it names.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError, isErrno } from '../../agent/errors.ts';
import type { GuestExit } from './guest.ts';
import type { Accel, Way } from './machine.ts';
import type { Disk, Share } from './options.ts';
import { isAlive, type ProcessIdentity } from './process-identity.ts';
import { stateDir, writeWhole } from './state-dir.ts';
import type { BootTimeline } from './timeline.ts';

export interface VmState {
  name: string;
  /** `exited` stays, with its console, until the VM is stopped or started again. */
  status: 'starting' | 'running' | 'exited';
  /** The process that has started QEMU and takes everything down with it. */
  supervisor: ProcessIdentity;
  /** ISO 8601. */
  startedAt: string;
  consoleLog: string;
  /** MiB. */
  memory: number;
  cpus: number;
  disks: readonly Disk[];
  shares: readonly Share[];
  /** From `running` on. */
  address?: string;
  way?: Way;
  accel?: Accel;
  cid?: number;
  /** QEMU's. */
  pid?: number;
  timeline?: BootTimeline;
  /** With `exited`, unless the supervisor was killed. */
  exit?: GuestExit;
}

const TRIES = 10;

export function vmsDir(): string {
  return join(stateDir(), 'vms');
}

/** @throws AgentError invalid_argument; a name becomes a directory */
export function checkVmName(name: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name)) {
    throw new AgentError(
      'invalid_argument',
      `name: ${JSON.stringify(name)} is not 1 to 63 of A-Z a-z 0-9 _ . - beginning with a letter or digit`,
      {
        fields: { field: 'name' },
      },
    );
  }
}

/** Undefined when there is none. A VM whose supervisor is gone has exited, whatever was written last. */
export function readVm(name: string, root = vmsDir()): VmState | undefined {
  checkVmName(name);
  let state: VmState;
  try {
    state = JSON.parse(readFileSync(join(root, name, 'state.json'), 'utf8')) as VmState;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    if (error instanceof SyntaxError)
      throw new AgentError('internal', `${join(root, name, 'state.json')} is not JSON`, { cause: error });
    throw error;
  }
  return isAlive(state.supervisor) ? state : { ...state, status: 'exited' };
}

/** All VMs, by name. */
export function readVms(root = vmsDir()): VmState[] {
  let names: string[];
  try {
    names = readdirSync(root);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
  return names
    .filter((name) => !name.startsWith('.'))
    .sort()
    .map((name) => readVm(name, root))
    .filter((state) => state !== undefined);
}

/**
 * Takes the name for this process. A directory appears with its state in it, so nobody sees a half-made one; one that
 * an exited VM left is replaced.
 * @throws AgentError already_exists while the name's VM lives
 */
export function claimVm(state: VmState, root = vmsDir()): void {
  checkVmName(state.name);
  const path = join(root, state.name);
  const made = join(root, `.${state.name}.${process.pid}`);
  mkdirSync(made, { recursive: true, mode: 0o700 });
  writeFileSync(join(made, 'state.json'), JSON.stringify(state), { mode: 0o600 });
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      renameSync(made, path);
      return;
    } catch (error) {
      if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    }
    const other = readVm(state.name, root);
    if (other !== undefined && other.status !== 'exited') {
      rmSync(made, { recursive: true, force: true });
      throw new AgentError('already_exists', `VM ${state.name} is ${other.status} already`, { fields: { name: state.name } });
    }
    discardVm(state.name, root, other?.supervisor);
  }
  rmSync(made, { recursive: true, force: true });
  throw new AgentError('unavailable', `VM ${state.name} is being started and stopped by others`, {
    fields: { name: state.name },
  });
}

/** Moves the directory away before it is removed: what comes to the name meanwhile is not touched. */
export function discardVm(name: string, root = vmsDir(), supervisor?: ProcessIdentity): void {
  checkVmName(name);
  const path = join(root, name);
  const away = join(root, `.${name}.${process.pid}.gone`);
  rmSync(away, { recursive: true, force: true });
  try {
    const now = readVm(name, root)?.supervisor;
    if (supervisor !== undefined && (now?.pid !== supervisor.pid || now.startTime !== supervisor.startTime)) return;
    renameSync(path, away);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  rmSync(away, { recursive: true, force: true });
}

export function writeVm(state: VmState, root = vmsDir()): void {
  writeWhole(join(root, state.name, 'state.json'), JSON.stringify(state));
}
