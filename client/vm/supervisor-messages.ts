// What a command and the supervisor of a named VM say to each other while the VM starts.
import type { Code } from '../../agent/errors.ts';
import type { BootOptions } from './options.ts';
import type { VmState } from './vm-state.ts';

/** What of the boot options makes sense in another process. */
export type NamedBootOptions = Omit<BootOptions, 'name' | 'consoleLog' | 'signal' | 'onLine' | 'onLog' | 'onProgress'>;

export interface ToSupervisor {
  name: string;
  options: NamedBootOptions;
}

export type FromSupervisor = { progress: string } | { state: VmState } | { error: { code: Code; message: string } };
