// The way in to every job, for a machine that has only Node 18 or newer and npm: Debian packages, npm packages, then the
// build and the job on the pinned Node. Plain JavaScript without dependencies, because nothing is installed yet.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePackages } from './bootstrap/debian.mjs';
import { JOBS } from './bootstrap/jobs.mjs';
import { ensureModules } from './bootstrap/npm.mjs';
import { CommandError, say } from './bootstrap/progress.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Runs a command of the job in the foreground; ends this process with its status unless that is 0. @param {string} node @param {string[]} args */
function runOrExit(node, args) {
  const env = { ...process.env, PATH: `${root}/node_modules/.bin:${process.env.PATH}` };
  const { status, signal, error } = spawnSync(node, args, { cwd: root, env, stdio: 'inherit' });
  if (error) throw new CommandError(`${args[0]} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? (signal === 'SIGINT' ? 130 : 1));
}

/** The guest's kernel, the addon's packages and the pinned Node are for one kind of machine. */
function refuseOtherMachines() {
  const { platform, arch, versions } = process;
  if (platform !== 'linux' || arch !== 'x64')
    throw new CommandError(`Berth is built on Linux for x86-64; this is ${platform} on ${arch}`);
  if (Number.parseInt(versions.node, 10) < 18)
    throw new CommandError(`the build needs Node 18 or newer to begin with; this is ${versions.node}`);
}

async function main() {
  const [name = '', ...rest] = process.argv.slice(2);
  const job = JOBS[name];
  if (!job) throw new CommandError(`usage: bootstrap.mjs ${Object.keys(JOBS).join('|')} [arguments of the job]`);
  refuseOtherMachines();
  const packages = await ensurePackages(root);
  if (packages.installed === 0) say(`Debian packages: all ${packages.present} are here`);
  const { reused, node } = await ensureModules(root);
  if (reused) say('npm packages: reused');
  runOrExit(node, ['scripts/build.ts', job.needs]);
  job.commands.forEach((command, index) => {
    runOrExit(node, index === job.commands.length - 1 ? [...command, ...rest] : command);
  });
}

main().catch((error) => {
  console.error(error instanceof CommandError ? error.message : error);
  process.exit(1);
});
