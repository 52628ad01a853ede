// Builds stages of the Dockerfile and writes each as a tar file: with Docker where a daemon answers, else with buildah,
// which needs none. buildah gets a base image made here from Debian's packages, for there may be no image registry.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { CommandError, runLogged } from '../bootstrap/progress.mjs';
import { LOGS, ROOT, STORE } from '../build/paths.ts';
import { machineAptSettings } from './apt-settings.ts';
import { type Mirrors, machineMirrors } from './apt-sources.ts';
import { asRoot, withOwnMounts } from './privilege.ts';

export type Builder = 'docker' | 'buildah';

const BASE_NAME = 'debian:trixie-slim';
const POLICY = path.join(STORE, 'policy.json');
const log = path.join(LOGS, 'image.log');
// 2024-01-01, for what wants a date that is neither today nor 1970.
export const SOURCE_DATE_EPOCH = '1704067200';

/** The builder BERTH_BUILDER names, or the one that works here. */
export async function chooseBuilder(env: NodeJS.ProcessEnv = process.env): Promise<Builder> {
  const wish = env['BERTH_BUILDER'] || undefined;
  if (wish === 'docker' || wish === 'buildah') return wish;
  if (wish !== undefined) throw new CommandError(`BERTH_BUILDER: ${JSON.stringify(wish)} is neither docker nor buildah`);
  const daemon = await execa('docker', ['version', '--format', '{{.Server.Os}}'], {
    reject: false,
    timeout: 10_000,
    stdin: 'ignore',
  });
  return daemon.exitCode === 0 && daemon.stdout === 'linux' ? 'docker' : 'buildah';
}

/** Makes buildah's base image unless its store holds it. Docker pulls its own. */
export async function buildBase(): Promise<void> {
  await mkdir(STORE, { recursive: true });
  await writeFile(POLICY, '{"default": [{"type": "insecureAcceptAnything"}]}\n');
  const context = path.join(STORE, 'base');
  await rm(context, { recursive: true, force: true });
  await mkdir(context, { recursive: true });
  const { debian } = await machineMirrors();
  // What Debian's own slim image leaves out, or apt would unpack again with every package.
  const excluded = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/info/*', '/usr/share/locale/*', '/usr/share/lintian/*'];
  const slim = [...excluded.map((files) => `path-exclude=${files}`), 'path-include=/usr/share/doc/*/copyright'];
  const aptConf = (await machineAptSettings()).split('\n').filter(Boolean);
  const command = ['mmdebstrap', '--variant=minbase', ...slim.map((option) => `--dpkgopt=${option}`)];
  // prune.sh takes it out again.
  if (debian.startsWith('https:')) command.push('--include=ca-certificates');
  command.push(
    ...aptConf.map((line) => `--aptopt=${line}`),
    'trixie',
    path.join(context, 'base.tar'),
    `deb ${debian} trixie main`,
  );
  const env = { ...process.env, SOURCE_DATE_EPOCH };
  await runLogged(command, { log, env });
  await writeFile(path.join(context, 'Dockerfile'), 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n');
  await buildah(['bud', '--layers=false', '--signature-policy', POLICY, '-t', BASE_NAME, context]);
  await rm(context, { recursive: true, force: true });
}

/** Whether buildah's store holds the base image. */
export async function hasBase(): Promise<boolean> {
  const inspect = asRoot(['buildah', ...(await storeOptions()), 'inspect', '--type', 'image', BASE_NAME]);
  return (await execa(inspect[0]!, inspect.slice(1), { reject: false })).exitCode === 0;
}

/** Builds one stage of the Dockerfile into the tar file `output`. */
export async function buildStage(builder: Builder, stage: string, output: string): Promise<void> {
  await rm(output, { force: true });
  await mkdir(path.dirname(output), { recursive: true });
  const common = ['--target', stage, ...buildArguments(await machineMirrors(), await machineAptSettings())];
  common.push('--output', `type=tar,dest=${output}`, '--file', path.join(ROOT, 'Dockerfile'));
  if (builder === 'docker') {
    await runLogged(['docker', 'build', '--network', 'host', '--progress', 'plain', ...common, ROOT], {
      log,
      env: { ...process.env, DOCKER_BUILDKIT: '1' },
    });
  } else {
    await buildah(['bud', '--pull-never', '--layers', '--signature-policy', POLICY, ...(await currentLimits()), ...common, ROOT]);
  }
}

function buildArguments(mirrors: Mirrors, aptSettings: string): string[] {
  const values = { DEBIAN_MIRROR: mirrors.debian, SECURITY_MIRROR: mirrors.security, APT_CONF: aptSettings };
  return Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
}

/** buildah would raise the number of open files for what it runs, which is not always allowed (proc_pid_limits(5)). */
async function currentLimits(): Promise<string[]> {
  const hard = /^Max open files +\S+ +(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8'))?.[1];
  return hard ? ['--ulimit', `nofile=${hard}:${hard}`] : [];
}

async function buildah(args: readonly string[]): Promise<void> {
  const env = { ...process.env, BUILDAH_ISOLATION: 'chroot' };
  const command = ['buildah', ...(await storeOptions()), ...args];
  await withOwnMounts(STORE, (prefix) => runLogged(asRoot([...prefix, ...command]), { log, env }));
}

/** Layers as overlay mounts, or as plain copies where those are refused (a checkout that lies on an overlay itself). */
async function storeOptions(): Promise<string[]> {
  const options = (driver: string) => [
    '--root',
    path.join(STORE, driver),
    '--runroot',
    path.join(STORE, 'run'),
    '--storage-driver',
    driver,
  ];
  const overlay = asRoot(['buildah', ...options('overlay'), 'info']);
  const { exitCode } = await execa(overlay[0]!, overlay.slice(1), { reject: false });
  return options(exitCode === 0 ? 'overlay' : 'vfs');
}
