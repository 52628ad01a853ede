// The pid namespace that containers of a sandbox may share: that of the first one.
// INVARIANT: whoever joins goes by a descriptor of the namespace, never by the pid of its init, which may be another's by then.
import { type FileHandle, open } from 'node:fs/promises';
import type { Container } from '../container/container.ts';

export class SharedPidns {
  #shared: { readonly owner: Container; readonly file: FileHandle } | undefined;

  /** For whoever joins; undefined while there is none, and once its init has ended. */
  get path(): string | undefined {
    if (this.#shared === undefined || this.#shared.owner.init.exit !== undefined) return undefined;
    return `/proc/${process.pid}/fd/${this.#shared.file.fd}`;
  }

  /** The namespace of the first container that is offered is the one, and that is written down with the container. */
  async offer(container: Container): Promise<void> {
    if (this.#shared !== undefined) return;
    const file = await open(`/proc/${container.init.identity.pid}/ns/pid`).catch(() => undefined);
    if (file === undefined) return;
    // Another may have been faster; and the init may have ended before, and its number be another's.
    if (this.#shared !== undefined || container.init.exit !== undefined) return await file.close();
    this.#shared = { owner: container, file };
    if (!container.record.facts.sharesPidns) container.record.update({ sharesPidns: true });
  }

  /** The next that is offered may be the one again, if it was this container's. */
  async leave(container: Container): Promise<void> {
    if (this.#shared?.owner !== container) return;
    await this.#shared.file.close();
    this.#shared = undefined;
  }
}
