// The Debian packages the project needs: which are missing here, and how they get installed.
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { CommandError, runLogged, say, timed } from './progress.mjs';

// dpkg's own placeholders.
const LISTING = `\${binary:Package} \${db:Status-Status}\n`;

/** @typedef {string | {name: string, fromRelease: number}} Wanted a package, or one that exists from a Debian release on */

/**
 * Names to have installed on this release, each once, sorted.
 * @param {Readonly<Record<string, readonly Wanted[]>>} lists packages by purpose
 * @param {number} release Debian's major version; Infinity for testing and unstable
 */
export function wantedPackages(lists, release) {
  const names = Object.values(lists)
    .flat()
    .filter((entry) => typeof entry === 'string' || release >= entry.fromRelease)
    .map((entry) => (typeof entry === 'string' ? entry : entry.name));
  return [...new Set(names)].sort();
}

/**
 * Which of `wanted` are not fully installed.
 * @param {readonly string[]} wanted
 * @param {string} listing what dpkg-query prints of every package: name and status
 */
export function missingPackages(wanted, listing) {
  const installed = new Set();
  for (const line of listing.split('\n')) {
    const [name = '', status] = line.trim().split(' ');
    // Multi-arch packages are listed as name:architecture.
    if (status === 'installed') installed.add(name.split(':')[0]);
  }
  return wanted.filter((name) => !installed.has(name));
}

/** Debian's major version from the text of /etc/os-release. @param {string} osRelease */
export function debianRelease(osRelease) {
  const id = /^VERSION_ID="?(\d+)/m.exec(osRelease)?.[1];
  return id === undefined ? Infinity : Number(id);
}

/** Installs what is missing, or, when not root, throws with the command that does. @param {string} root of the checkout */
export async function ensurePackages(root) {
  const lists = JSON.parse(await readFile(`${root}/scripts/debian-packages.json`, 'utf8'));
  const wanted = wantedPackages(lists, debianRelease(await readFile('/etc/os-release', 'utf8')));
  const query = spawnSync('dpkg-query', ['-W', '-f', LISTING], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (query.error)
    throw new CommandError('dpkg-query is not here: this build needs Debian 12 or newer, or a system made from it');
  const missing = missingPackages(wanted, query.stdout);
  if (missing.length === 0) return { installed: 0, present: wanted.length };
  if (process.getuid?.() !== 0) {
    throw new CommandError(
      `${missing.length} Debian packages are missing: ${missing.join(' ')}\n` +
        `Install them, then run this again:\n  sudo apt-get install --no-install-recommends ${missing.join(' ')}`,
    );
  }
  const log = `${root}/build/logs/debian.log`;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', DEBCONF_NONINTERACTIVE_SEEN: 'true', LC_ALL: 'C.UTF-8' };
  const apt = ['apt-get', '-q', '-y', '-o', 'DPkg::Lock::Timeout=600', '-o', 'Dpkg::Options::=--force-confold'];
  say(`Debian packages: missing ${missing.join(' ')}`);
  const install = async () => {
    await runLogged([...apt, 'update'], { log, env });
    await runLogged([...apt, 'install', '--no-install-recommends', ...missing], { log, env });
  };
  await timed(`Debian packages: ${missing.length} with what they need`, install, 'installed');
  return { installed: missing.length, present: wanted.length };
}
