// Starting, finding and connecting to processes, in one container or in the guest itself.
import { randomUUID } from 'node:crypto';
import type { berth } from '#proto/berth.js';
import type { AttachOptions } from './attachment.ts';
import { Files } from './files.ts';
import { Forward, type ForwardOptions } from './forward.ts';
import type { Link } from './link.ts';
import { PROCESSES } from './methods.ts';
import { Process, type ProcessRef, refuseAborted } from './process.ts';
import { asStartError, neededFor, type StartOptions, startRequest } from './start.ts';
import { openTunnel, type Tunnel, type TunnelOptions, type TunnelTarget } from './tunnel.ts';

/** What a container and the guest have in common: programs run in them, and listen, and they have files. */
export class Processes {
  protected readonly link: Link;
  /** Its files, as its programs see them. */
  readonly files: Files;
  readonly #containerId: string;

  /** @internal */
  constructor(link: Link, containerId: string) {
    this.link = link;
    this.files = new Files(link, containerId);
    this.#containerId = containerId;
  }

  /**
   * Starts a program; it runs when this resolves. A program that fails is no error of this: see `wait`.
   * @throws StartError when it cannot be started; AgentError otherwise
   */
  async run(args: readonly string[], options: StartOptions = {}): Promise<Process> {
    const { signal, onAbort = 'kill', drainMs } = options;
    refuseAborted(signal);
    // The key makes it safe to ask again when the answer was lost.
    for (const feature of neededFor(options)) this.link.need(feature);
    const repeatable = this.link.has('keys');
    const request = startRequest(this.#containerId, args, { ...options, key: options.key ?? randomUUID() });
    const { process } = await this.link.call(PROCESSES.start, request, { repeatable }).catch((error: unknown) => {
      throw asStartError(error);
    });
    const started = this.#handle(process, { primary: true, owned: true, ...(drainMs === undefined ? {} : { drainMs }) });
    if (signal !== undefined) endOnAbort(started, signal, onAbort);
    return started;
  }

  /** A process that is there already, as one more reader of its output unless `primary` is asked for. @throws AgentError not_found */
  async attach(processId: string, options: AttachOptions = {}): Promise<Process> {
    const ref = { containerId: this.#containerId, processId };
    const process = await this.link.call(PROCESSES.inspect, { ref }, { repeatable: true });
    return this.#handle(process, { ...options, owned: false });
  }

  /** Those that can be attached to. With `tree`, below each what it has started. */
  async processes(options: { tree?: boolean } = {}): Promise<berth.v1.ProcessTree.$Properties[]> {
    const request = { containerId: this.#containerId, tree: options.tree ?? false };
    return (await this.link.call(PROCESSES.list, request, { repeatable: true })).processes;
  }

  /**
   * Connects to a port or a Unix socket that something listens on, in this network and below this root.
   * @throws TunnelError when nothing answers there; AgentError otherwise
   */
  tunnel(to: TunnelTarget, options: TunnelOptions = {}): Promise<Tunnel> {
    return openTunnel(this.link, this.#containerId, to, options);
  }

  /** Listens on this machine and leads each connection there, until it is closed. @throws the system's error when it can't listen */
  forward(options: ForwardOptions): Promise<Forward> {
    return Forward.start(options, (more) => this.tunnel(options.to, more));
  }

  #handle(process: berth.v1.Process.$Properties | null | undefined, options: AttachOptions & { owned: boolean }): Process {
    const ref: ProcessRef = {
      containerId: process?.ref?.containerId ?? this.#containerId,
      processId: process?.ref?.processId ?? '',
    };
    return new Process(this.link, ref, process?.pid ?? 0, { ...options, terminal: process?.terminal ?? false });
  }
}

function endOnAbort(process: Process, signal: AbortSignal, action: 'kill' | 'terminate' | 'detach'): void {
  const onAbort = () => {
    if (action === 'detach') process.detach();
    else void process.kill(action === 'kill' ? 'KILL' : 'TERM', action === 'kill' ? {} : { graceMs: 2000 }).catch(() => {});
  };
  signal.addEventListener('abort', onAbort, { once: true });
  void process.wait().then(
    () => signal.removeEventListener('abort', onAbort),
    () => signal.removeEventListener('abort', onAbort),
  );
  if (signal.aborted) onAbort();
}
