// VMs with a name that outlive the command which starts them.
import { fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AgentError } from '../../agent/errors.ts';
import { isAlive, type ProcessIdentity, signalProcess } from './process-identity.ts';
import { sweepRunDirs } from './run-dir.ts';
import type { FromSupervisor, NamedBootOptions, ToSupervisor } from './supervisor-messages.ts';
import { checkVmName, discardVm, readVm, readVms, type VmState } from './vm-state.ts';

const POLL_MS = 20;
/** QEMU and its devices get 5 and 2 s (virtual-machine.ts, sidecar.ts); after this the supervisor itself hangs. */
const SUPERVISOR_STOP_MS = 12_000;
const GRACEFUL_MS = 10_000;

export interface StartVmHooks {
  onProgress?: (message: string) => void;
  /** Gives the start up; nothing stays. */
  signal?: AbortSignal;
}

/**
 * Boots a VM that goes on when this process ends.
 * @throws AgentError already_exists when the name is taken by a VM that lives; what bootGuest throws
 */
export async function startVm(name: string, options: NamedBootOptions = {}, hooks: StartVmHooks = {}): Promise<VmState> {
  checkVmName(name);
  hooks.signal?.throwIfAborted();
  const child = fork(fileURLToPath(new URL('./supervisor.ts', import.meta.url)), [name], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    cwd: '/',
    execArgv: [],
  });
  const { promise, resolve, reject } = Promise.withResolvers<VmState>();
  const abort = () => reject(hooks.signal?.reason);
  hooks.signal?.addEventListener('abort', abort);
  child.on('message', (message) => {
    const said = message as FromSupervisor;
    if ('progress' in said) hooks.onProgress?.(said.progress);
    else if ('state' in said) resolve(said.state);
    else reject(new AgentError(said.error.code, said.error.message, { fields: { name } }));
  });
  child.on('error', (error) => reject(new AgentError('internal', `cannot start the supervisor of VM ${name}`, { cause: error })));
  child.on('exit', (code, signal) =>
    reject(new AgentError('unavailable', `the supervisor of VM ${name} ended (${signal ?? code})`)),
  );
  const gone = new Promise<void>((done) => child.once('exit', () => done()));
  // A supervisor that has not said that the VM runs takes this for the end of the wish.
  const letGo = () => {
    if (child.connected) child.disconnect();
  };
  try {
    child.send({ name, options } satisfies ToSupervisor);
    return await promise;
  } catch (error) {
    letGo();
    if (child.pid !== undefined) await gone;
    throw error;
  } finally {
    hooks.signal?.removeEventListener('abort', abort);
    letGo();
    child.unref();
  }
}

export interface StopVmOptions {
  /** Asks the guest to power off; when it has not within `timeoutMs` it is ended as if the power was cut. */
  graceful?: (state: VmState) => Promise<unknown>;
  /** Default 10 000. */
  timeoutMs?: number;
}

/** Stops the VM, or clears away what an exited one has left. @throws AgentError not_found */
export async function stopVm(name: string, { graceful, timeoutMs = GRACEFUL_MS }: StopVmOptions = {}): Promise<void> {
  const state = readVm(name);
  if (state === undefined) throw new AgentError('not_found', `there is no VM ${name}`, { fields: { name } });
  const { supervisor } = state;
  if (graceful !== undefined && state.status === 'running') {
    const refused = graceful(state).then(
      () => new Promise<never>(() => {}),
      () => {},
    );
    await Promise.race([goneWithin(supervisor, timeoutMs), refused]);
  }
  signalProcess(supervisor, 'SIGTERM');
  if (!(await goneWithin(supervisor, SUPERVISOR_STOP_MS))) {
    signalProcess(supervisor, 'SIGKILL');
    await goneWithin(supervisor, SUPERVISOR_STOP_MS);
  }
  discardVm(name, undefined, supervisor);
  sweepRunDirs();
}

/** Undefined when there is none, or the one there was has exited. */
export function findVm(name: string): VmState | undefined {
  const state = readVm(name);
  return state?.status === 'exited' ? undefined : state;
}

/** All VMs, the exited ones that nobody has stopped yet included. */
export function listVms(): VmState[] {
  return readVms();
}

async function goneWithin(supervisor: ProcessIdentity, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (isAlive(supervisor)) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}
