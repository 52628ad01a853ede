// Roots that files are reached in: a container's, as its init process sees it, or the guest's own.
import { constants } from 'node:fs';
import type { Native } from '../../native/index.ts';
import type { Container } from '../container/container.ts';
import { AgentError, fromErrno, isErrno } from '../errors.ts';
import { FileRoot, type FilesDoor, O_PATH } from '../guest/files/file-root.ts';
import { TemporaryNames } from '../guest/files/temporary-name.ts';
import type { StateStore } from '../keeper/journal.ts';

export interface FileRootsHost {
  readonly sandbox: { container(id: string): Container };
  readonly door: FilesDoor & Pick<Native, 'openInProcess' | 'pidfdOpen'>;
  /** Where names are written down that a file has for a moment. */
  readonly state: StateStore;
}

/** A root in use by a call. */
export interface RootInUse {
  readonly root: FileRoot;
  /** Aborted when the call is or the root goes away: what is open in it must not outlive it. */
  readonly signal: AbortSignal;
  /** Resolves when the root goes away; undefined for the guest's. */
  readonly ended: Promise<unknown> | undefined;
}

export class FileRoots {
  readonly #host: FileRootsHost;
  readonly #names: TemporaryNames;

  constructor(host: FileRootsHost) {
    this.#host = host;
    this.#names = new TemporaryNames(host.state);
  }

  /** @param containerId '' for the guest itself @throws not_found; failed_precondition for a container that has ended */
  async use<T>(containerId: string, signal: AbortSignal, work: (use: RootInUse) => Promise<T>): Promise<T> {
    const { door, sandbox } = this.#host;
    const container = containerId === '' ? undefined : sandbox.container(containerId);
    // Of the agent itself: its root is the guest's.
    using root = new FileRoot(await this.#openRoot(container), door, this.#names.of(containerId));
    if (container === undefined) return await work({ root, signal, ended: undefined });
    const ending = new AbortController();
    const { exited } = container.init;
    let over = false;
    void exited.then(() => over || ending.abort(endedError(containerId)));
    try {
      return await work({ root, signal: AbortSignal.any([signal, ending.signal]), ended: exited });
    } finally {
      over = true;
    }
  }

  async #openRoot(container: Container | undefined): Promise<number> {
    const { door } = this.#host;
    const pidfd = container === undefined ? this.#self() : container.init.pidfd;
    if (pidfd === undefined) throw endedError(container?.id ?? '');
    try {
      return await door.openInProcess(pidfd, '/', O_PATH | constants.O_DIRECTORY);
    } catch (error) {
      if (container !== undefined && isErrno(error, 'ESRCH', 'EINVAL')) throw endedError(container.id);
      throw fromErrno(
        error,
        container === undefined ? 'open the root of the guest' : `open the root of container ${container.id}`,
      );
    } finally {
      if (container === undefined) door.close(pidfd);
    }
  }

  #self(): number {
    return this.#host.door.pidfdOpen(process.pid);
  }
}

function endedError(id: string): AgentError {
  return new AgentError('failed_precondition', `container ${id} has ended: its files can be reached until then`, {
    fields: { container: id },
  });
}
