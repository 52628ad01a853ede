// A guest as its user sees it.
import type { Accel, Way } from './machine.ts';
import type { BootTimeline } from './timeline.ts';

/** How a VM ended. */
export interface GuestExit {
  /** QEMU's exit code: 0 when the guest powered off or was stopped; null when a signal ended QEMU. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** How a VM is stopped. */
export interface StopOptions {
  /** Asks the guest to power off, over its agent say; when it has not within `timeoutMs`, QEMU is ended. */
  graceful?: () => Promise<unknown>;
  /** Default 10 000. */
  timeoutMs?: number;
}

/** A VM that runs. */
export interface Guest extends AsyncDisposable {
  readonly name: string;
  readonly way: Way;
  readonly accel: Accel;
  readonly cid: number;
  /** `vsock://cid:1024`, `hvsock://path:1024` or `serial://path`. */
  readonly address: string;
  /** The address of the virtio-serial port for the agent, of a guest that has one. */
  readonly serialAddress?: string;
  /** The address of the UART for the agent, of a guest that has one. */
  readonly uartAddress?: string;
  /** The address of another vsock port of the guest, to dial. @throws AgentError failed_precondition in the way `serial` */
  portAddress(port: number): string;
  /**
   * Where a program on the host has to listen for what the guest dials at CID 2 and this port, before the guest does:
   * `vsock://2:port`, or `unix://path` of the device process's socket and the port.
   * @throws AgentError failed_precondition in the way `serial`
   */
  hostPortAddress(port: number): string;
  /** QEMU's. */
  readonly pid: number;
  readonly consoleLog: string;
  /** QEMU's control socket, of a guest booted with `hotplug`. */
  readonly qmpSocket?: string;
  readonly startedAt: Date;
  /** Why this way and this accelerator. */
  readonly reasons: readonly string[];
  timeline(): BootTimeline;
  /** The console's last lines, 200 at most. */
  consoleTail(lines?: number): string[];
  /** Resolves when QEMU has ended and nothing of the guest is left: no process, socket or directory. */
  waitExit(): Promise<GuestExit>;
  /** Idempotent. */
  stop(options?: StopOptions): Promise<GuestExit>;
}
