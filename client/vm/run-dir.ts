// One private directory per running guest, named by its CID: making it is what reserves the CID among this user's
// guests. It holds sockets and the console, and goes when the guest stops; what a killed launcher left is swept.
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentError, isErrno } from '../../agent/errors.ts';
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts';

/** CIDs 0 to 2 are taken (man 7 vsock); libvirt counts from 3, so we start well above. */
const FIRST_CID = 1000;
const CIDS = 4096;
/** sun_path holds 108 bytes with its zero (man 7 unix); the longest name we put below is `share-5.sock`. */
const LONGEST_DIR = 107 - '/vhost-vsock.sock'.length;
/** A directory without its owner's name yet is being made, unless it is this old. */
const UNOWNED_MS = 10_000;

export interface RunDir {
  readonly path: string;
  readonly cid: number;
  remove(): void;
}

/** The folder of all run directories of this user. @throws AgentError permission_denied when someone else made it */
export function runRoot(): string {
  const uid = process.getuid?.() ?? 0;
  const parent = process.env['XDG_RUNTIME_DIR'];
  const root = join(process.env['BERTH_RUN_DIR'] ?? parent ?? tmpdir(), `berth-${uid}`);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const stat = lstatSync(root);
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o077) !== 0) {
    throw new AgentError('permission_denied', `${root} is not a directory that only this user can enter`, {
      fields: { path: root },
    });
  }
  return root;
}

/** Reserves the next free CID, from `from` on. */
export function makeRunDir(from = FIRST_CID, root = runRoot()): RunDir {
  for (let cid = from; cid < FIRST_CID + CIDS; cid++) {
    const path = join(root, String(cid));
    if (Buffer.byteLength(path) > LONGEST_DIR) {
      throw new AgentError(
        'failed_precondition',
        `${path} is too long a path for a Unix socket; set BERTH_RUN_DIR to a shorter one`,
      );
    }
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      if (!isStale(path)) continue;
      rmSync(path, { recursive: true, force: true });
      cid--;
      continue;
    }
    writeFileSync(join(path, 'owner.json'), JSON.stringify(identify(process.pid)));
    return { path, cid, remove: () => rmSync(path, { recursive: true, force: true }) };
  }
  throw new AgentError('resource_exhausted', `all ${CIDS} context ids below ${root} are taken`, { fields: { limit: CIDS } });
}

/** Removes what launchers that were killed have left. Their processes died with them. */
export function sweepRunDirs(root = runRoot()): number {
  let swept = 0;
  for (const name of readdirSync(root)) {
    const path = join(root, name);
    if (!/^\d+$/.test(name) || !isStale(path)) continue;
    rmSync(path, { recursive: true, force: true });
    swept++;
  }
  return swept;
}

function isStale(path: string): boolean {
  try {
    return !isAlive(JSON.parse(readFileSync(join(path, 'owner.json'), 'utf8')) as ProcessIdentity);
  } catch {
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    return made !== undefined && Date.now() - made > UNOWNED_MS;
  }
}
