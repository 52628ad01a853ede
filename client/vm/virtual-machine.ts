// One guest's processes from start to end: the device processes, QEMU, its console. However it ends, by itself or
// because it is told to, everything it had is taken down in one place.
import { resolve } from 'node:path';
import { AgentError, describeError } from '../../agent/errors.ts';
import { type Child, startChild } from './child.ts';
import { type Console, followConsole } from './console.ts';
import type { Guest, GuestExit, StopOptions } from './guest.ts';
import type { Decision, MachineFindings } from './machine.ts';
import type { BootOptions, ResolvedOptions } from './options.ts';
import { qemuArguments } from './qemu-args.ts';
import type { RunDir } from './run-dir.ts';
import { type Sidecar, startVirtiofsd, startVsockDevice, stopSidecars } from './sidecar.ts';
import { type BootTimeline, isListening, type ListeningRecord, timelineOf } from './timeline.ts';

/** QEMU ends at once on SIGTERM, unless it hangs in a device. */
const QEMU_STOP_MS = 5_000;
const GRACEFUL_MS = 10_000;
const SHOWN_LINES = 40;
/** In the run directory. */
export const SERIAL_SOCKET = 'serial.sock';

export interface VirtualMachineParts {
  name: string;
  address: string;
  runDir: RunDir;
  decision: Decision;
  resolved: ResolvedOptions;
  events: Pick<BootOptions, 'onLine' | 'onLog' | 'onProgress'>;
  /** performance.now() when the caller asked for the guest. */
  calledAt: number;
}

export type BootOutcome = { kind: 'up' } | { kind: 'cid taken' | 'silent' | 'ended' | 'late' | 'given up'; message: string };

export class VirtualMachine implements Guest {
  readonly name: string;
  readonly address: string;
  readonly startedAt = new Date();
  readonly #parts: VirtualMachineParts;
  readonly #sidecars: Sidecar[] = [];
  readonly #listening = Promise.withResolvers<void>();
  readonly #spoke = Promise.withResolvers<void>();
  #qemu?: Child;
  #console?: Console;
  #exit?: Promise<GuestExit>;
  #qemuStartMs = 0;
  #seen?: { record: ListeningRecord; seenMs: number };

  constructor(parts: VirtualMachineParts) {
    this.name = parts.name;
    this.address = parts.address;
    this.#parts = parts;
  }

  get way() {
    return this.#parts.decision.way;
  }
  get accel() {
    return this.#parts.decision.accel;
  }
  get reasons() {
    return this.#parts.decision.reasons;
  }
  get cid() {
    return this.#parts.runDir.cid;
  }
  get pid() {
    return this.#qemu?.pid ?? 0;
  }
  get qmpSocket() {
    const { resolved, runDir } = this.#parts;
    return resolved.hotplug === undefined ? undefined : `${runDir.path}/qmp.sock`;
  }
  get serialAddress() {
    const { resolved, runDir } = this.#parts;
    return resolved.serial || this.way === 'serial' ? `serial://${runDir.path}/${SERIAL_SOCKET}` : undefined;
  }
  get uartAddress() {
    const { resolved, runDir } = this.#parts;
    return resolved.uart ? `serial://${runDir.path}/uart.sock` : undefined;
  }
  get consoleLog() {
    return this.#console?.path ?? '';
  }

  async start(findings: MachineFindings, hostSocket: string, consoleLog: string): Promise<void> {
    const { runDir, resolved, decision, events } = this.#parts;
    let vsockSocket: string | undefined;
    if (decision.way === 'vhost-user') {
      vsockSocket = `${runDir.path}/vhost.sock`;
      this.#sidecars.push(await startVsockDevice(findings.vhostDeviceVsock!, runDir.cid, vsockSocket, hostSocket));
    }
    const shareSockets = resolved.shares.map((_, index) => `${runDir.path}/share-${index}.sock`);
    for (const [index, share] of resolved.shares.entries())
      this.#sidecars.push(await startVirtiofsd(share, shareSockets[index]!));

    const plan = {
      qemu: findings.qemu!,
      options: resolved,
      accel: decision.accel,
      way: decision.way,
      cid: runDir.cid,
      vsockSocket,
      shareSockets,
      serialSocket: pathOf(this.serialAddress),
      uartSocket: pathOf(this.uartAddress),
      qmpSocket: this.qmpSocket,
    };
    this.#qemuStartMs = performance.now() - this.#parts.calledAt;
    const qemu = await startChild('QEMU', qemuArguments(plan), 'pipe');
    this.#qemu = qemu;
    this.#console = followConsole(qemu.stdout!, resolve(consoleLog), {
      onLine: (line) => {
        this.#spoke.resolve();
        events.onLine?.(line);
      },
      onLog: (record) => {
        if (this.#seen === undefined && isListening(record)) {
          this.#seen = { record, seenMs: performance.now() - this.#parts.calledAt };
          this.#listening.resolve();
        }
        events.onLog?.(record);
      },
    });
    this.#exit = this.#takeDown(qemu, this.#console);
  }

  /** @param silenceMs how long the console may stay empty before KVM counts as not working */
  async untilUp(silenceMs?: number): Promise<BootOutcome> {
    const { resolved, calledAt } = this.#parts;
    const timers: NodeJS.Timeout[] = [];
    const after = (ms: number) => new Promise<'late'>((late) => timers.push(setTimeout(late, ms, 'late')));
    const ended = this.#exit!.then(() => 'ended' as const);
    const { promise: givenUp, resolve: giveUp } = Promise.withResolvers<'given up'>();
    const abort = () => giveUp('given up');
    resolved.signal?.addEventListener('abort', abort);
    if (resolved.signal?.aborted) abort();
    try {
      if (silenceMs !== undefined) {
        const first = await Promise.race([this.#spoke.promise, ended, givenUp, after(silenceMs)]);
        if (first === 'late') return { kind: 'silent', message: `a guest under KVM printed nothing in ${silenceMs} ms` };
      }
      const up = resolved.waitFor === 'console' ? this.#spoke.promise : this.#listening.promise;
      const outcome = await Promise.race([up, ended, givenUp, after(resolved.timeoutMs - (performance.now() - calledAt))]);
      if (outcome === undefined) return { kind: 'up' };
      if (outcome === 'ended') return this.#whyEnded();
      if (outcome === 'given up') return { kind: outcome, message: `the start of ${this.name} was given up` };
      return { kind: outcome, message: this.#explain(`the agent did not listen within ${resolved.timeoutMs} ms`) };
    } finally {
      resolved.signal?.removeEventListener('abort', abort);
      for (const timer of timers) clearTimeout(timer);
    }
  }

  portAddress(port: number): string {
    this.#needVsock();
    return this.address.replace(/:\d+$/, `:${port}`);
  }

  hostPortAddress(port: number): string {
    this.#needVsock();
    const hybrid = /^hvsock:\/\/(.*):\d+$/.exec(this.address);
    return hybrid ? `unix://${hybrid[1]}_${port}` : `vsock://2:${port}`;
  }

  timeline(): BootTimeline {
    return timelineOf(this.#qemuStartMs, this.#seen);
  }

  consoleTail(lines?: number): string[] {
    return this.#console?.tail(lines) ?? [];
  }

  waitExit(): Promise<GuestExit> {
    return this.#exit ?? Promise.reject(new AgentError('failed_precondition', `guest ${this.name} was never started`));
  }

  async stop(options: StopOptions = {}): Promise<GuestExit> {
    if (this.#qemu === undefined) {
      await this.#release();
      return { code: null, signal: null };
    }
    if (options.graceful !== undefined && this.#qemu.running) {
      await this.#askToPowerOff(options.graceful, options.timeoutMs ?? GRACEFUL_MS);
    }
    await this.#qemu.stop(QEMU_STOP_MS);
    return this.#exit!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #needVsock(): void {
    if (this.way !== 'serial') return;
    throw new AgentError('failed_precondition', `guest ${this.name} has no vsock ports: it is reached over a serial port`);
  }

  async #askToPowerOff(ask: () => Promise<unknown>, timeoutMs: number): Promise<void> {
    const { promise: over, resolve: goOn } = Promise.withResolvers<void>();
    const timer = setTimeout(goOn, timeoutMs);
    ask().catch((error: unknown) => {
      this.#parts.events.onProgress?.(`${this.name} could not be asked to power off: ${describeError(error)}`);
      goOn();
    });
    await Promise.race([this.#qemu!.ended, over]);
    clearTimeout(timer);
  }

  async #takeDown(qemu: Child, console: Console): Promise<GuestExit> {
    const exit = await qemu.ended;
    await console.done;
    await this.#release();
    return exit;
  }

  async #release(): Promise<void> {
    await stopSidecars(this.#sidecars);
    this.#parts.runDir.remove();
  }

  #whyEnded(): BootOutcome {
    const stderr = this.#qemu!.stderr().trim();
    if (/guest cid.*in use/i.test(stderr)) return { kind: 'cid taken', message: `CID ${this.cid} is in use by someone else` };
    // QEMU that refuses KVM, or fails an assertion in it, has printed nothing of the guest.
    if (this.accel === 'kvm' && this.consoleTail(1).length === 0)
      return { kind: 'silent', message: `QEMU ended under KVM: ${stderr.split('\n')[0]}` };
    return {
      kind: 'ended',
      message: this.#explain(`the guest ended before its agent listened${stderr === '' ? '' : ` (${stderr})`}`),
    };
  }

  #explain(what: string): string {
    const tail = this.consoleTail(SHOWN_LINES);
    return `${what}; ${tail.length === 0 ? 'its console is empty' : `its console ends:\n${tail.join('\n')}`}`;
  }
}

function pathOf(address: string | undefined): string | undefined {
  return address?.slice('serial://'.length);
}
