// The npm packages: whether node_modules is what package-lock.json says, and `npm ci` when it is not.
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { CommandError, runLogged, timed } from './progress.mjs';

/** @typedef {{version?: string, integrity?: string, optional?: boolean}} LockedPackage */
/** @typedef {{packages?: Record<string, LockedPackage>}} Lockfile */

/**
 * Why node_modules does not match the lockfile, or undefined when it does.
 * @param {Lockfile} locked package-lock.json
 * @param {Lockfile} installed node_modules/.package-lock.json, which npm writes after an installation
 */
export function lockMismatch(locked, installed) {
  const wanted = locked.packages ?? {};
  const present = installed.packages ?? {};
  for (const [place, entry] of Object.entries(wanted)) {
    const found = present[place];
    // Optional packages are mostly binaries for other platforms.
    if (place === '' || (!found && entry.optional)) continue;
    if (!found) return `${place} is missing`;
    if (found.version !== entry.version || found.integrity !== entry.integrity) return `${place} is not ${entry.version}`;
  }
  return Object.keys(present).find((place) => !(place in wanted)) && 'it holds packages the lockfile does not name';
}

/** @param {string} file @returns {Promise<Lockfile>} */
async function readLock(file) {
  return JSON.parse(await readFile(file, 'utf8').catch(() => '{}'));
}

/** Brings node_modules up to date. @param {string} root of the checkout @returns {Promise<{reused: boolean, node: string}>} */
export async function ensureModules(root) {
  const locked = await readLock(`${root}/package-lock.json`);
  const node = `${root}/node_modules/.bin/node`;
  const wantedNode = `v${locked.packages?.['node_modules/node']?.version}`;
  const nodeVersion = () => spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim();
  const reason = lockMismatch(locked, await readLock(`${root}/node_modules/.package-lock.json`));
  if (reason === undefined && nodeVersion() === wantedNode) return { reused: true, node };
  const install = () =>
    runLogged(['npm', 'ci', '--no-audit', '--no-fund', '--no-progress'], { cwd: root, log: `${root}/build/logs/npm.log` });
  await timed('npm packages: npm ci', install, 'installed');
  const got = nodeVersion();
  if (got !== wantedNode) {
    throw new CommandError(
      `node_modules/.bin/node is ${got ?? 'missing'}, not ${wantedNode}: was npm told not to run install scripts?`,
    );
  }
  return { reused: false, node };
}
