// Takes a bundle of the agent in, and has berth-init run it next. A bundle has a directory of its own from the moment it has been checked as a
// whole; what this agent runs from stays, since it loads parts of itself when they are first needed.
// BOUND: three bundles of at most 32 MiB, the one that runs, the one that is to run and none or the one that comes in.
import { createHash } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addonPath } from '../../../native/index.ts';
import { AgentError, fromErrno, isErrno } from '../../errors.ts';
import { JOURNAL_SCHEMA } from '../../keeper/journal-format.ts';
import type { Keeper } from '../../keeper/keeper.ts';
import { KEEPER_VERSION } from '../../keeper/wire.ts';
import type { Logger } from '../../log.ts';
import type { FilesDoor } from '../files/file-root.ts';
import { readTar } from '../files/tar/reader.ts';
import { TreeUnpacker } from '../files/unpack-tree.ts';
import { type BundleFacts, checkBundle, parseBundleFacts } from './bundle-facts.ts';
import { bundlesDir, INCOMING, ORIGIN_FILE, type Origin, runsFrom } from './origin.ts';

export const MAX_BUNDLE_BYTES = 32 * 1024 * 1024;
/** main.js, package.json, chunks/ and what is in it. */
const MAX_MEMBERS = 512;
const MEMBER = /^(\.\/)?(main\.js|package\.json|chunks\/?|chunks\/\w[\w.-]*\.js)?$/;

export interface UpgraderHost {
  readonly stateDir: string;
  readonly door: FilesDoor;
  readonly keeper: Pick<Keeper, 'upgrade' | 'generation'>;
  /** Of the agent that runs. */
  readonly version: string;
  readonly commit: string;
  readonly log: Logger;
}

export interface BundleOffer {
  /** Of the archive. */
  readonly size: number;
  readonly sha256: Uint8Array;
}

export class Upgrader {
  readonly #host: UpgraderHost;
  #busy = false;

  constructor(host: UpgraderHost) {
    this.#host = host;
  }

  /**
   * Takes the archive, and tells berth-init. When this has resolved the agent has to end itself; until then, and after an error, nothing has changed.
   * @throws invalid_argument, data_loss or failed_precondition for a bundle that can't be run here; aborted while another comes in
   */
  async take(offer: BundleOffer, data: AsyncIterable<Uint8Array>): Promise<BundleFacts> {
    if (this.#busy) throw new AgentError('aborted', 'another upgrade of the agent is going on');
    this.#busy = true;
    let published: string | undefined;
    try {
      const { door, keeper, log } = this.#host;
      const base = bundlesDir(this.#host.stateDir);
      const incoming = await this.#clear(base);
      await unpack(offer, data, incoming, door);
      const facts = await check(incoming, door);
      await symlink(addonPath(), join(incoming, 'berth.node'));
      await this.#describe(incoming, offer, facts);
      const target = join(base, `g${keeper.generation}`);
      await rename(incoming, target);
      published = target;
      await keeper.upgrade(join(target, 'main.js'), scriptArgument());
      log.info('agent to be replaced', { version: facts.version, commit: facts.commit, bundle: target });
      return facts;
    } catch (error) {
      this.#busy = false;
      const base = bundlesDir(this.#host.stateDir);
      for (const path of [join(base, INCOMING), published])
        if (path !== undefined) await rm(path, { recursive: true, force: true });
      throw error;
    }
  }

  /** Away with all but what this agent runs from. @returns an empty directory for what comes in */
  async #clear(base: string): Promise<string> {
    try {
      await mkdir(base, { recursive: true, mode: 0o700 });
      const running = await runsFrom(base);
      for (const name of await readdir(base)) if (name !== running) await rm(join(base, name), { recursive: true });
      const incoming = join(base, INCOMING);
      await mkdir(incoming, { mode: 0o700 });
      return await realpath(incoming);
    } catch (error) {
      throw fromErrno(error, `make room for a bundle in ${base}`);
    }
  }

  async #describe(directory: string, { sha256 }: BundleOffer, { version, commit }: BundleFacts): Promise<void> {
    const from = { version: this.#host.version, commit: this.#host.commit };
    const origin: Origin = { sha256: Buffer.from(sha256).toString('hex'), version, commit, from };
    await writeFile(join(directory, ORIGIN_FILE), JSON.stringify(origin), { mode: 0o600, flag: 'wx' });
  }
}

async function unpack(offer: BundleOffer, data: AsyncIterable<Uint8Array>, directory: string, door: FilesDoor): Promise<void> {
  const { size, sha256 } = offer;
  if (size < 1 || size > MAX_BUNDLE_BYTES)
    throw refused('size', `a bundle of ${size} bytes, where 1 to ${MAX_BUNDLE_BYTES} are taken`);
  const hash = createHash('sha256');
  let received = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of data) {
      received += chunk.length;
      if (received > size) throw refused('size', `more than the ${size} bytes that were announced`);
      hash.update(chunk);
      yield chunk;
    }
  }
  const opened = await open(directory, 'r');
  const options = { owner: { uid: 0, gid: 0 }, keepSetId: false, maxEntries: MAX_MEMBERS, maxBytes: MAX_BUNDLE_BYTES };
  const unpacker = new TreeUnpacker(opened.fd, door, options);
  try {
    for await (const member of readTar(counted())) {
      const { name, type } = member.entry;
      if (!MEMBER.test(name.toString()) || (type !== 'file' && type !== 'directory'))
        throw refused('data', `${JSON.stringify(name.toString().slice(0, 200))} is no part of a bundle`);
      await unpacker.unpack(member);
    }
  } finally {
    unpacker.close();
    await opened.close();
  }
  if (received === size && hash.digest().equals(sha256)) return;
  throw new AgentError('data_loss', 'the bundle is not what was announced: its size or its SHA-256 differs');
}

async function check(directory: string, door: FilesDoor): Promise<BundleFacts> {
  const main = await lstat(join(directory, 'main.js')).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (!main?.isFile()) throw refused('data', 'the bundle has no main.js');
  const text = await readFile(join(directory, 'package.json'), 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'EISDIR')) throw refused('data', 'the bundle has no package.json');
    throw error;
  });
  const facts = parseBundleFacts(text);
  const verbs = door as unknown as Readonly<Record<string, unknown>>;
  checkBundle(facts, {
    journal: JOURNAL_SCHEMA,
    keeper: KEEPER_VERSION,
    node: Number(process.versions.node.split('.')[0]),
    hasVerb: (name) => typeof verbs[name] === 'function',
  });
  return facts;
}

/** Where the script stands in the command that berth-init runs: behind Node's own options. */
function scriptArgument(): number {
  return 1 + process.execArgv.length;
}

function refused(field: string, why: string): AgentError {
  return new AgentError('invalid_argument', `${field}: ${why}`, { fields: { field } });
}
