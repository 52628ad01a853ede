// A container on top of Kata's calls: create, start, exec, signal, remove. Whoever plays a Kata host has use for it: the demonstration, the tests
// and the bench. Programs have client/api/container.ts, which is on berth.v1.
import { randomBytes } from 'node:crypto';
import { AgentError } from '../../agent/errors.ts';
import { defaultProcess, defaultSpec, type ProcessOptions, type SpecOptions } from '../default-spec.ts';
import { prepareRoot, type Rootfs } from '../rootfs.ts';
import { signalNumber } from '../signals.ts';
import type { AgentCalls } from './agent-client.ts';
import { GuestProcess } from './guest-process.ts';

export interface ContainerOptions extends Omit<SpecOptions, 'rootPath'> {
  /** The container's id; made up when absent. */
  id?: string;
  rootfs: Rootfs;
}

/** The agent's rule for ids (Kata's, with a length). */
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{1,127}$/;

export class KataContainer {
  readonly id: string;
  /** The init process; its streams may be read from now on, though it runs only after start(). */
  readonly init: GuestProcess;
  private readonly calls: AgentCalls;
  private readonly defaults: ProcessOptions;

  constructor(calls: AgentCalls, id: string, defaults: ProcessOptions) {
    this.calls = calls;
    this.id = id;
    this.defaults = defaults;
    this.init = new GuestProcess(calls, { containerId: id, execId: '' }, defaults.tty ?? false);
  }

  async start(): Promise<void> {
    await this.calls.startContainer({ containerId: this.id });
  }

  /** Starts another process with the container's user, environment and directory unless told otherwise. */
  exec(options: ProcessOptions): Promise<GuestProcess> {
    const { cwd, user, capAdd, capDrop, noNewPrivileges } = this.defaults;
    const env = [...(this.defaults.env ?? []), ...(options.env ?? [])];
    return execProcess(this.calls, this.id, { cwd, user, capAdd, capDrop, noNewPrivileges, ...options, env });
  }

  /** Signals the init process; SIGKILL reaches every process of the container. */
  async signal(signal: string | number): Promise<void> {
    const number = typeof signal === 'number' ? signal : signalNumber(signal);
    await this.calls.signalProcess({ containerId: this.id, execId: '', signal: number });
  }

  /** Ends whatever still runs and undoes the mounts. */
  async remove(): Promise<void> {
    await this.calls.removeContainer({ containerId: this.id });
  }
}

/**
 * Creates a container that waits for start().
 * @throws AgentError invalid_argument for a bad id or option, else the agent's own; nothing is left in the guest then
 */
export async function createContainer(calls: AgentCalls, options: ContainerOptions): Promise<KataContainer> {
  const id = options.id ?? randomBytes(6).toString('hex');
  if (!ID.test(id)) {
    const rule = 'two to 128 letters, digits, and _ . - after the first';
    throw new AgentError('invalid_argument', `invalid container name '${id}': ${rule}`, { fields: { field: 'container_id' } });
  }
  const { storages, rootPath } = prepareRoot(id, options.rootfs);
  const OCI = defaultSpec({ ...options, rootPath });
  await calls.createContainer({ containerId: id, storages, OCI });
  return new KataContainer(calls, id, options);
}

/** Starts a process in a container made by anyone; it runs when this resolves. */
export async function execProcess(calls: AgentCalls, containerId: string, options: ProcessOptions): Promise<GuestProcess> {
  const execId = randomBytes(8).toString('hex');
  // Without capabilities the agent gives the container's own, which is what docker does too.
  const { Capabilities, ...process } = defaultProcess(options);
  const chosen = options.capAdd === undefined && options.capDrop === undefined ? process : { ...process, Capabilities };
  await calls.execProcess({ containerId: containerId, execId: execId, process: chosen });
  return new GuestProcess(calls, { containerId, execId }, options.tty ?? false);
}
