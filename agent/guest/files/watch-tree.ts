// Changes in a directory, and in those below it, by inotify(7). What nobody has taken stays in the kernel's queue, which has a bound and says
// when it ran over; here is only where each watch lies.
import { constants } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { InotifyEvent, Watch } from '../../../native/index.ts';
import { AgentError, errnoOf, hasCode, isErrno } from '../../errors.ts';
import { unlessAborted } from '../../unless-aborted.ts';
import { atBytes, namesIn } from './directory-names.ts';
import { fileError } from './file-error.ts';
import type { FileRoot } from './file-root.ts';
import { FILES } from './files-lane.ts';
import { type WatchedDirectory, WatchedTree } from './watched-tree.ts';

/** man 7 inotify, sys/inotify.h. */
const IN = {
  MODIFY: 0x2,
  ATTRIB: 0x4,
  MOVED_FROM: 0x40,
  MOVED_TO: 0x80,
  CREATE: 0x100,
  DELETE: 0x200,
  DELETE_SELF: 0x400,
  MOVE_SELF: 0x800,
  UNMOUNT: 0x2000,
  Q_OVERFLOW: 0x4000,
  IGNORED: 0x8000,
  EXCL_UNLINK: 0x0400_0000,
  ISDIR: 0x4000_0000,
} as const;
const WANTED =
  IN.MODIFY | IN.ATTRIB | IN.MOVED_FROM | IN.MOVED_TO | IN.CREATE | IN.DELETE | IN.DELETE_SELF | IN.MOVE_SELF | IN.EXCL_UNLINK;

/** Directories of one call; the kernel takes about 1 KiB for each. */
const MAX_WATCHED = 8192;
/** Told at a time: what a read of the queue gives at the most is fewer, but not what is found in a directory that has come. */
const MAX_CHANGES = 8192;
/** The second half of a move is put into the queue right after the first. */
const OTHER_HALF_MS = 5;

export type ChangeKind = 'created' | 'modified' | 'removed' | 'moved' | 'attributes' | 'overflow' | 'watching' | 'gone';

export interface Change {
  readonly kind: ChangeKind;
  /** Below what is watched; '' for itself. */
  readonly path: string;
  /** With `moved`. */
  readonly to?: string;
  readonly directory: boolean;
}

export class TreeWatch {
  readonly #root: FileRoot;
  readonly #path: string;
  readonly #recursive: boolean;
  readonly #queue: number;
  readonly #tree = new WatchedTree();
  readonly #readable: Watch;
  #wake: (() => void) | undefined;
  #over = false;

  private constructor(root: FileRoot, path: string, recursive: boolean) {
    this.#root = root;
    this.#path = path;
    this.#recursive = recursive;
    this.#queue = root.door.inotifyOpen();
    this.#readable = root.door.watchReadable(this.#queue, () => {
      this.#readable.pause();
      this.#wake?.();
    });
    this.#readable.pause();
  }

  /** Changes count from when this resolves. @throws AgentError resource_exhausted for too many directories */
  static async start(root: FileRoot, path: string, { recursive }: { recursive: boolean }): Promise<TreeWatch> {
    let watch: TreeWatch;
    try {
      watch = new TreeWatch(root, path, recursive);
    } catch (error) {
      throw fileError(error, 'watch', path);
    }
    try {
      await watch.#add(watch.#tree.root, () => {});
      return watch;
    } catch (error) {
      watch.close();
      throw isErrno(error, 'ENOSPC') ? tooMany() : fileError(error, 'watch', path);
    }
  }

  /** Batches, until what is watched goes or the signal is aborted (which throws its reason). */
  async *changes(signal: AbortSignal): AsyncGenerator<Change[]> {
    yield [{ kind: 'watching', path: '', directory: true }];
    while (!this.#over) {
      const events = await this.#read(signal);
      const changes: Change[] = [];
      const tell = (change: Change) => {
        if (changes.length < MAX_CHANGES) changes.push(change);
        else if (change.kind === 'gone' || changes.length === MAX_CHANGES) {
          changes.push(change.kind === 'gone' ? change : { kind: 'overflow', path: '', directory: true });
        }
      };
      for (const [index, event] of events.entries()) await this.#translate(event, events.slice(index + 1), tell);
      if (changes.length > 0) yield changes;
    }
  }

  close(): void {
    this.#over = true;
    this.#readable.close();
    this.#root.door.close(this.#queue);
  }

  async #read(signal: AbortSignal): Promise<InotifyEvent[]> {
    const events = this.#root.door.inotifyRead(this.#queue);
    if (events.length === 0) {
      await this.#arrived(signal);
      return await this.#read(signal);
    }
    if (((events.at(-1)?.mask ?? 0) & IN.MOVED_FROM) !== 0) {
      await sleep(OTHER_HALF_MS, undefined, { signal });
      events.push(...this.#root.door.inotifyRead(this.#queue));
    }
    return events;
  }

  #arrived(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    this.#readable.resume();
    return unlessAborted(promise, signal);
  }

  async #translate(event: InotifyEvent, later: readonly InotifyEvent[], tell: (change: Change) => void): Promise<void> {
    const { mask, name } = event;
    const has = (bits: number) => (mask & bits) !== 0;
    const directory = has(IN.ISDIR);
    if (has(IN.Q_OVERFLOW)) return tell({ kind: 'overflow', path: '', directory: true });
    const node = this.#tree.at(event.watch);
    if (node === undefined) return;
    if (has(IN.IGNORED)) this.#tree.forget(node);
    if (node === this.#tree.root && has(IN.DELETE_SELF | IN.MOVE_SELF | IN.UNMOUNT | IN.IGNORED)) {
      if (!this.#over) tell({ kind: 'gone', path: '', directory: true });
      this.#over = true;
      return;
    }
    // Of a directory below, what it is told of itself is told by the one above as well.
    if (name === '' && node !== this.#tree.root) return;
    const path = this.#tree.path(node, name);
    if (has(IN.MOVED_TO)) return await this.#movedTo(event, node, path, tell);
    if (has(IN.MOVED_FROM)) return this.#movedFrom(event, node, { path, later, tell });
    if (has(IN.CREATE)) {
      tell({ kind: 'created', path, directory });
      if (directory) await this.#addNew(node, name, tell);
    } else if (has(IN.DELETE)) {
      this.#drop(node, name);
      tell({ kind: 'removed', path, directory });
    } else if (has(IN.MODIFY)) tell({ kind: 'modified', path, directory });
    else if (has(IN.ATTRIB)) tell({ kind: 'attributes', path, directory });
  }

  #movedFrom(
    { cookie, name, mask }: InotifyEvent,
    node: WatchedDirectory,
    { path, later, tell }: { path: string; later: readonly InotifyEvent[]; tell: (change: Change) => void },
  ): void {
    const other = later.find((event) => event.cookie === cookie && (event.mask & IN.MOVED_TO) !== 0);
    if (other !== undefined && this.#tree.at(other.watch) !== undefined) {
      this.#moving.set(cookie, { path, node, name });
      return;
    }
    this.#drop(node, name);
    tell({ kind: 'removed', path, directory: (mask & IN.ISDIR) !== 0 });
  }

  readonly #moving = new Map<number, { readonly path: string; readonly node: WatchedDirectory; readonly name: string }>();

  async #movedTo(
    { cookie, name, mask }: InotifyEvent,
    node: WatchedDirectory,
    path: string,
    tell: (change: Change) => void,
  ): Promise<void> {
    const directory = (mask & IN.ISDIR) !== 0;
    const from = this.#moving.get(cookie);
    this.#moving.delete(cookie);
    // What was there is replaced.
    this.#drop(node, name);
    if (from !== undefined) {
      this.#tree.move(from.node, from.name, node, name);
      return tell({ kind: 'moved', path: from.path, to: path, directory });
    }
    tell({ kind: 'created', path, directory });
    if (directory) await this.#addNew(node, name, tell);
  }

  /** A directory that has come: watched, and told what is in it already. One that can't be watched is told as an overflow. */
  async #addNew(parent: WatchedDirectory, name: string, tell: (change: Change) => void): Promise<void> {
    if (!this.#recursive) return;
    try {
      await this.#add(this.#tree.add(parent, name), tell);
    } catch (error) {
      this.#drop(parent, name);
      if (hasCode(error, 'not_found') || isErrno(error, 'ENOENT', 'ENOTDIR')) return;
      if (errnoOf(error) === undefined && !(error instanceof AgentError)) throw error;
      tell({ kind: 'overflow', path: this.#tree.path(parent, name), directory: true });
    }
  }

  async #add(node: WatchedDirectory, tell: (change: Change) => void): Promise<void> {
    if (this.#tree.size > MAX_WATCHED) throw tooMany();
    const below = this.#tree.path(node, '');
    const path = below === '' ? this.#path : `${this.#path}/${below}`;
    // Not kept open: while something holds it, the kernel does not tell that it is removed.
    const place = await this.#root.find(path, { noFollow: below !== '' });
    try {
      this.#tree.watch(node, await this.#root.door.inotifyAdd(this.#queue, place, WANTED));
    } finally {
      this.#root.door.close(place);
    }
    if (this.#recursive) await this.#addBelow(node, path, tell);
  }

  async #addBelow(node: WatchedDirectory, path: string, tell: (change: Change) => void): Promise<void> {
    const found = await this.#root.stat(path, node !== this.#tree.root);
    if (found.type !== 'directory') return;
    const directories: string[] = [];
    {
      await using opened = await this.#root.openDirectory(path);
      for await (const bytes of namesIn(opened.fd, (work) => FILES.run(work))) {
        const directory = await isDirectory(atBytes(opened.fd, bytes));
        tell({ kind: 'created', path: this.#tree.path(node, bytes.toString()), directory });
        if (directory) directories.push(bytes.toString());
      }
    }
    for (const name of directories) await this.#add(this.#tree.add(node, name), tell).catch(unlessGone);
  }

  #drop(parent: WatchedDirectory, name: string): void {
    for (const watch of this.#tree.remove(parent, name)) this.#root.door.inotifyRemove(this.#queue, watch);
  }
}

async function isDirectory(path: Buffer): Promise<boolean> {
  return await FILES.run(() => lstat(path)).then(
    (stats) => (stats.mode & constants.S_IFMT) === constants.S_IFDIR,
    () => false,
  );
}

function unlessGone(error: unknown): void {
  if (!hasCode(error, 'not_found')) throw error;
}

function tooMany(): AgentError {
  return new AgentError('resource_exhausted', `more directories than can be watched: ${MAX_WATCHED}, or what the kernel allows`, {
    fields: { limit: 'watches', bound: MAX_WATCHED },
  });
}
