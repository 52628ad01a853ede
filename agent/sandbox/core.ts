// What Berth's own API works with beside the sandbox: made at its first call, or by an agent that finds processes of it.
import type { StateStore } from '../keeper/journal.ts';
import type { Logger } from '../log.ts';
import type { Clients } from './clients.ts';
import { SYSTEM_CLOCK } from './clock.ts';
import { ContainerLifetimes } from './container-lifetime.ts';
import { GuestProcesses, type GuestProcessHost } from './guest-processes.ts';
import { ProcessTable } from './process-table.ts';
import type { Sandbox } from './sandbox.ts';
import { SandboxLease } from './sandbox-lease.ts';

export interface Core {
  readonly guest: GuestProcesses;
  readonly processes: ProcessTable;
  readonly lifetimes: ContainerLifetimes;
  readonly lease: SandboxLease;
}

export interface CoreHost {
  readonly sandbox: Sandbox;
  readonly clients: Clients;
  readonly guestProcesses: GuestProcessHost;
  readonly state: StateStore;
  readonly log: Logger;
}

export function openCore({ sandbox, clients, guestProcesses, state, log }: CoreHost): Core {
  const guest = new GuestProcesses(guestProcesses);
  const { events } = sandbox;
  const processes = new ProcessTable({ sandbox, guest, events, clients, clock: SYSTEM_CLOCK, log });
  const lifetimes = new ContainerLifetimes({ sandbox, processes, clients, clock: SYSTEM_CLOCK, events, log });
  const onExpired = () => {
    events.append({ kind: 'sandbox.lease', fields: { reason: 'ran out' } });
    // What can't be removed is told in the log, and the VM powers off all the same.
    sandbox.destroy().catch((error: unknown) => log.error('the sandbox did not go in order', { error }));
  };
  return { guest, processes, lifetimes, lease: new SandboxLease(onExpired, SYSTEM_CLOCK, state) };
}
