// The files of a container or of the guest itself.
import { digestOf, FileContent, type FilePlace, type ReadOptions } from './file-content.ts';
import { type FileInfo, toFileInfo } from './file-info.ts';
import { type FileSource, FileUpload, type WriteOptions } from './file-upload.ts';
import { type FileChange, type WatchOptions, watchFiles } from './file-watch.ts';
import type { Link } from './link.ts';
import { FILES } from './methods.ts';
import { type TarInOptions, TarOut, type TarOutOptions, type Unpacked, unpackTar } from './tar.ts';

/** How a directory is made. */
export interface MakeDirectoryOptions {
  /** Default 0o755. */
  readonly mode?: number;
  /** Those above it too; one that is there is fine. */
  readonly makeParents?: boolean;
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Paths are absolute and count from the root of the container (of the guest), as a program in it sees them; links in it are followed,
 * but never out of it. All of it throws `UnsupportedError` where the agent has no files.
 */
export class Files {
  readonly #link: Link;
  readonly #containerId: string;

  constructor(link: Link, containerId: string) {
    this.#link = link;
    this.#containerId = containerId;
  }

  /** A link is followed unless told otherwise. @throws AgentError not_found */
  async stat(path: string, { noFollow = false }: { noFollow?: boolean } = {}): Promise<FileInfo> {
    return toFileInfo(await this.#link.call(FILES.stat, { path: this.#at(path), noFollow }, { repeatable: true }));
  }

  /** What is in a directory, in no order, links not followed; a directory of any size. */
  async *list(path: string, { signal }: { signal?: AbortSignal } = {}): AsyncGenerator<FileInfo> {
    const place = this.#at(path);
    const stream = await this.#link.stream(FILES.list, signal === undefined ? {} : { signal });
    await stream.send({ path: place });
    stream.end();
    for await (const { entries } of stream) for (const entry of entries) yield toFileInfo(entry);
  }

  /** The bytes of a file, to be iterated, or taken at once by `bytes()` and `text()`. Nothing is asked of the guest before. */
  read(path: string, options: ReadOptions = {}): FileContent {
    return new FileContent(this.#link, this.#at(path), options);
  }

  /** SHA-256 of a file, summed in the guest. */
  sha256(path: string, options: { signal?: AbortSignal } = {}): Promise<Buffer> {
    return digestOf(this.#link, this.#at(path), options);
  }

  /** Writes a file that appears whole or not at all. @throws AgentError data_loss, resource_exhausted (no space), already_exists, ... */
  async write(path: string, source: FileSource, options: WriteOptions = {}): Promise<FileInfo> {
    return await new FileUpload(this.#link, this.#at(path), source, options).run();
  }

  /** @throws AgentError already_exists */
  async makeDirectory(path: string, options: MakeDirectoryOptions = {}): Promise<FileInfo> {
    return toFileInfo(await this.#link.call(FILES.makeDirectory, { path: this.#at(path), ...options }));
  }

  /** At once, within one file system. @throws AgentError already_exists with `noReplace` */
  async rename(from: string, to: string, { noReplace = false }: { noReplace?: boolean } = {}): Promise<FileInfo> {
    return toFileInfo(await this.#link.call(FILES.rename, { from: this.#at(from), to, noReplace }));
  }

  /** A link is removed, not what it leads to. With `recursive` a directory with all below it; with `missingOk` what is not there is fine. */
  async remove(path: string, options: { recursive?: boolean; missingOk?: boolean } = {}): Promise<void> {
    await this.#link.call(FILES.remove, { path: this.#at(path), ...options }, { repeatable: options.missingOk ?? false });
  }

  /** A directory's content, or one file, as a tar archive (pax). @see TarOut */
  tarOut(path: string, options: TarOutOptions = {}): TarOut {
    return new TarOut(this.#link, this.#at(path), options);
  }

  /**
   * Unpacks a tar archive below a directory. Each file appears whole or not at all; what was unpacked before a failure stays.
   * @throws AgentError invalid_argument for a member that would land elsewhere or is a device; unavailable when the connection breaks
   */
  tarIn(directory: string, archive: AsyncIterable<Uint8Array>, options: TarInOptions = {}): Promise<Unpacked> {
    return unpackTar(this.#link, this.#at(directory), archive, options);
  }

  /**
   * Changes in a directory or of one file, from the `watching` on; over a lost connection it goes on with an `overflow`, as anything may have
   * changed. Ends when the reader leaves, the signal is aborted, or what is watched goes.
   */
  watch(path: string, options: WatchOptions = {}): AsyncGenerator<FileChange> {
    return watchFiles(this.#link, this.#at(path), options);
  }

  #at(path: string): FilePlace {
    return { containerId: this.#containerId, path };
  }
}
