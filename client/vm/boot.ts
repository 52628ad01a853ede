// Makes a guest: choose the way, reserve a CID, start the devices and QEMU, wait for the agent. What was started is
// gone again when any of it fails.
import { AgentError } from '../../agent/errors.ts';
import type { Guest } from './guest.ts';
import { rememberKvm } from './kvm-verdict.ts';
import { type Decision, decide, type MachineFindings, probeMachine, wishFromEnvironment } from './machine.ts';
import { type BootOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import { makeRunDir, sweepRunDirs } from './run-dir.ts';
import { SERIAL_SOCKET, VirtualMachine } from './virtual-machine.ts';

/** Where the agent listens (kata-agent's fixed vsock port). */
const AGENT_PORT = 1024;
/** Other users' guests may hold CIDs that only the kernel knows of. */
const CID_TRIES = 20;

/**
 * Boots a guest and waits for its agent.
 * @throws AgentError invalid_argument or not_found for bad options, failed_precondition when the machine lacks something,
 * unavailable when the guest ended or the time was up; the message then ends with the console's last lines.
 * The reason of `signal` when that is raised.
 */
export async function bootGuest(options: BootOptions = {}): Promise<Guest> {
  const calledAt = performance.now();
  const resolved = resolveOptions(options);
  const environment = wishFromEnvironment();
  const wish = { way: options.way ?? environment.way, accel: options.accel ?? environment.accel };
  sweepRunDirs();
  let findings = probeMachine();
  let from: number | undefined;
  for (let tries = 1; ; tries++) {
    resolved.signal?.throwIfAborted();
    const decision = decide(findings, wish);
    for (const reason of decision.reasons) options.onProgress?.(reason);
    const vm = await launch(options, resolved, findings, decision, from, calledAt);
    const outcome = await vm.untilUp(decision.mayFallBack ? resolved.silenceMs : undefined);
    if (outcome.kind === 'up') {
      if (decision.mayFallBack) rememberKvm({ works: true, reason: 'a guest printed under it' });
      return vm;
    }
    const { message } = outcome;
    await vm.stop();
    resolved.signal?.throwIfAborted();
    if (outcome.kind === 'cid taken' && tries < CID_TRIES) {
      from = vm.cid + 1;
    } else if (outcome.kind === 'silent' && decision.mayFallBack) {
      const verdict = { works: false, reason: message };
      rememberKvm(verdict);
      findings = { ...findings, kvmVerdict: verdict };
    } else {
      throw new AgentError('unavailable', message, { fields: { guest: vm.name, console: vm.consoleLog } });
    }
    options.onProgress?.(`${message}; trying again`);
  }
}

async function launch(
  options: BootOptions,
  resolved: ResolvedOptions,
  findings: MachineFindings,
  decision: Decision,
  from: number | undefined,
  calledAt: number,
): Promise<VirtualMachine> {
  const runDir = makeRunDir(from);
  const { path, cid } = runDir;
  const hostSocket = `${path}/vm.vsock`;
  const address = {
    direct: `vsock://${cid}:${AGENT_PORT}`,
    'vhost-user': `hvsock://${hostSocket}:${AGENT_PORT}`,
    serial: `serial://${path}/${SERIAL_SOCKET}`,
  }[decision.way];
  const vm = new VirtualMachine({
    name: options.name ?? `vm-${cid}`,
    address,
    runDir,
    decision,
    resolved,
    events: options,
    calledAt,
  });
  try {
    await vm.start(findings, hostSocket, options.consoleLog ?? `${path}/console.log`);
  } catch (error) {
    await vm.stop();
    throw error;
  }
  return vm;
}
