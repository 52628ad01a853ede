// The process behind a named VM: it boots the guest, tells the command that started it, and stays until the guest has
// ended, to take down what belongs to it. SIGTERM stops the guest. Nobody reads its stdout.
import { join } from 'node:path';
import { AgentError, describeError, isAgentError } from '../../agent/errors.ts';
import { connectKata } from '../kata/connect.ts';
import { createSandbox } from '../kata/sandbox.ts';
import { bootGuest } from './boot.ts';
import type { Guest } from './guest.ts';
import { identify } from './process-identity.ts';
import type { FromSupervisor, ToSupervisor } from './supervisor-messages.ts';
import { claimVm, discardVm, type VmState, vmsDir, writeVm } from './vm-state.ts';

/** The agent listens already; in emulation its first answer takes seconds. */
const FIRST_ANSWER_MS = 60_000;

function tell(message: FromSupervisor): Promise<void> {
  return new Promise((done) => {
    if (process.connected) process.send!(message, undefined, {}, () => done());
    else done();
  });
}

async function supervise({ name, options }: ToSupervisor): Promise<void> {
  const consoleLog = join(vmsDir(), name, 'console.log');
  const { memory = 512, cpus = 1, disks = [], shares = [] } = options;
  const base = {
    name,
    supervisor: identify(process.pid)!,
    startedAt: new Date().toISOString(),
    consoleLog,
    memory,
    cpus,
    disks,
    shares,
  };
  claimVm({ ...base, status: 'starting' });
  let guest: Guest | undefined;
  const wish = new AbortController();
  const stop = () => {
    wish.abort(new AgentError('cancelled', `the start of VM ${name} was given up`));
    void guest?.stop();
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
  // Whoever asked for the VM gave up before it was there.
  process.once('disconnect', stop);
  try {
    guest = await bootGuest({
      ...options,
      name,
      consoleLog,
      signal: wish.signal,
      onProgress: (text) => void tell({ progress: text }),
    });
    // Before anyone can see that the VM runs: CreateSandbox wipes what containers live in, so it must come first and once.
    if (options.waitFor !== 'console') await makeSandbox(guest, wish.signal);
  } catch (error) {
    await guest?.stop();
    discardVm(name);
    throw error;
  }
  process.removeListener('disconnect', stop);
  const { address, way, accel, cid, pid } = guest;
  const state: VmState = { ...base, status: 'running', address, way, accel, cid, pid, timeline: guest.timeline() };
  writeVm(state);
  await tell({ state });
  const exit = await guest.waitExit();
  if (wish.signal.aborted) discardVm(name);
  else writeVm({ ...state, status: 'exited', exit });
}

async function makeSandbox(guest: Guest, signal: AbortSignal): Promise<void> {
  await using agent = await connectKata(guest.address, { timeoutMs: FIRST_ANSWER_MS, signal });
  await createSandbox(agent, guest.name);
}

process.once('message', (message) => {
  supervise(message as ToSupervisor).then(
    () => process.exit(0),
    async (error: unknown) => {
      await tell({ error: { code: isAgentError(error) ? error.code : 'internal', message: describeError(error) } });
      process.exit(1);
    },
  );
});
