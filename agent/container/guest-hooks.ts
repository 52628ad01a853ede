// The guest's own hooks: programs of a directory of the guest's image, run as root around every container (kata-agent.md §3.2).
// Root runs what lies there, so nothing counts that anyone but root could have put there.
import { readdir, realpath, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { describeError, isErrno } from '../errors.ts';
import type { Logger } from '../log.ts';
import { DEFAULT_PRIVATE_PATHS } from './spec/context.ts';
import { checkAbsolutePath, isWithin } from './spec/paths.ts';
import { quote, refuse } from './spec/refusal.ts';
import type { HookSpec, HooksSpec } from './spec/types.ts';

const KINDS = ['prestart', 'poststart', 'poststop'] as const;
/** Of one kind. */
const MAX_HOOKS = 64;
/** A hook holds up its container for no longer. */
const TIMEOUT_SECONDS = 30;
const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
/** man 7 inode */
const EXECUTABLE = 0o111;
const WRITABLE_BY_OTHERS = 0o022;
const ROOT_UID = 0;

/**
 * The hooks below `directory`, each kind in the order of its names. Entries that can't be hooks are left out and told to the log.
 * @param sharedDir where the host and containers put files; nothing of it is run
 * @throws invalid_argument for a directory that is not the guest's own; not_found and the like when it can't be read
 */
export async function findGuestHooks(directory: string, sharedDir: string, log: Logger): Promise<HooksSpec> {
  if (directory === '') return {};
  const root = await realpath(checkAbsolutePath(directory, 'guest_hook_path'));
  for (const forbidden of [sharedDir, ...DEFAULT_PRIVATE_PATHS]) {
    if (isWithin(root, forbidden))
      refuse('guest_hook_path', `${quote(directory)} lies in ${forbidden}, which is not the guest's own`);
  }
  await checkOwned(root);
  const found: HooksSpec = {};
  for (const kind of KINDS) {
    const hooks = await hooksOf(root, kind, log);
    if (hooks.length > 0) found[kind] = hooks;
  }
  return found;
}

async function hooksOf(root: string, kind: (typeof KINDS)[number], log: Logger): Promise<HookSpec[]> {
  const hooks: HookSpec[] = [];
  for (const name of (await namesIn(posix.join(root, kind))).sort()) {
    const path = posix.join(root, kind, name);
    try {
      hooks.push({ path: await program(path, root), args: [name, kind], env: ENVIRONMENT, timeout: TIMEOUT_SECONDS });
    } catch (error) {
      log.warn('guest hook left out', { path, reason: describeError(error) });
    }
  }
  return hooks.length <= MAX_HOOKS ? hooks : refuse('guest_hook_path', `has ${hooks.length} ${kind} hooks; at most ${MAX_HOOKS}`);
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** Where the program really is. */
async function program(path: string, root: string): Promise<string> {
  const real = await realpath(path);
  if (!isWithin(real, root)) refuse('hook', `${quote(path)} leads out of ${root}`);
  const { mode } = await checkOwned(real);
  const info = await stat(real);
  if (!info.isFile()) refuse('hook', `${quote(path)} is no file`);
  if ((mode & EXECUTABLE) === 0) refuse('hook', `${quote(path)} is not executable`);
  for (let above = posix.dirname(real); above.length > root.length; above = posix.dirname(above)) await checkOwned(above);
  return real;
}

async function checkOwned(path: string): Promise<{ mode: number }> {
  const { uid, mode } = await stat(path);
  if (uid !== ROOT_UID || (mode & WRITABLE_BY_OTHERS) !== 0)
    refuse('guest_hook_path', `${quote(path)} can be written by others than root`);
  return { mode };
}
