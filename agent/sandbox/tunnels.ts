// The tunnels that are open: how many there may be, how much each may hold, and whose network and root a target is in.
import { AgentError } from '../errors.ts';
import { connectTarget, type TunnelTarget } from '../guest/tunnel/connect.ts';
import type { Sandbox } from './sandbox.ts';
import { Tunnel, type TunnelHost } from './tunnel.ts';

const KIB = 1024;
/** Of all clients; a client's own limit is that of its streams. Each costs three descriptors. */
const MAX_TUNNELS = 1024;
/** What one may hold of its client's bytes while there are few. */
export const WINDOW_BYTES = 256 * KIB;
/** Open at once with the large window; later ones have the small one: 16 MiB and 30 MiB in all, however many listeners never read. */
const LARGE_WINDOWS = 64;
export const SMALL_WINDOW_BYTES = 32 * KIB;

export interface TunnelRequest {
  readonly target: TunnelTarget;
  /** '' for the guest itself. */
  readonly containerId: string;
  readonly timeoutMs: number;
  /** Bytes that may be sent to the client. */
  readonly credit: number;
}

export class Tunnels {
  readonly #sandbox: Pick<Sandbox, 'container'>;
  #open = 0;
  #large = 0;

  constructor(sandbox: Pick<Sandbox, 'container'>) {
    this.#sandbox = sandbox;
  }

  /** Connected and not closed yet, or being connected. */
  get open(): number {
    return this.#open;
  }

  /**
   * Connects; `run` the tunnel then.
   * @throws not_found; failed_precondition for a container that has ended; resource_exhausted; unavailable naming the errno
   */
  async connect({ target, containerId, timeoutMs, credit }: TunnelRequest, host: TunnelHost): Promise<Tunnel> {
    if (this.#open >= MAX_TUNNELS) {
      throw new AgentError('resource_exhausted', `${MAX_TUNNELS} tunnels are open`, {
        fields: { limit: 'tunnels', bound: MAX_TUNNELS },
      });
    }
    const large = this.#large < LARGE_WINDOWS;
    this.#count(1, large);
    try {
      const process = containerId === '' ? undefined : this.#sandbox.container(containerId).init;
      const fd = await connectTarget(target, { process, timeoutMs, signal: host.signal });
      const windowBytes = large ? WINDOW_BYTES : SMALL_WINDOW_BYTES;
      return new Tunnel(fd, { credit, windowBytes, onClosed: () => this.#count(-1, large) }, host);
    } catch (error) {
      this.#count(-1, large);
      throw error;
    }
  }

  #count(change: 1 | -1, large: boolean): void {
    this.#open += change;
    if (large) this.#large += change;
  }
}
