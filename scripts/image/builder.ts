// Builds stages of the Dockerfile and writes each as a tar file: with Docker where a daemon answers, else with buildah,
// which needs none and gets its base image from base.ts.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { CommandError, runLogged } from '../bootstrap/progress.mjs';
import { LOGS, ROOT, STORE } from '../build/paths.ts';
import { machineAptSettings } from './apt-settings.ts';
import { type Mirrors, machineMirrors } from './apt-sources.ts';
import { asRoot, withOwnMounts } from './privilege.ts';

export type Builder = 'docker' | 'buildah';

export const POLICY = path.join(STORE, 'policy.json');
const log = path.join(LOGS, 'image.log');

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

/** `$1` is the image, `$2` the tar file, `$3` the policy, the rest how to call buildah. */
const EXPORT = `
set -e
image=$1 output=$2 policy=$3
shift 3
container=$("$@" from --pull-never --signature-policy "$policy" "$image")
trap '"$@" rm "$container"' EXIT
tar --numeric-owner -C "$("$@" mount "$container")" -cf "$output" .
`;

/** Builds one stage of the Dockerfile into the tar file `output`. */
export async function buildStage(builder: Builder, stage: string, output: string): Promise<void> {
  await rm(output, { force: true });
  await mkdir(path.dirname(output), { recursive: true });
  const common = ['--target', stage, ...buildArguments(await machineMirrors(), await machineAptSettings())];
  common.push('--file', path.join(ROOT, 'Dockerfile'));
  if (builder === 'docker') {
    const command = ['docker', 'build', '--network', 'host', '--progress', 'plain', '--output', `type=tar,dest=${output}`];
    await runLogged([...command, ...common, ROOT], { log, env: { ...process.env, DOCKER_BUILDKIT: '1' } });
    return;
  }
  const image = `berth-${stage}`;
  await buildah([
    'bud',
    '--pull-never',
    '--layers',
    '--signature-policy',
    POLICY,
    ...(await keptLimits()),
    '-t',
    image,
    ...common,
    ROOT,
  ]);
  // `bud --output` takes set-user-ID bits away unless it is root.
  await inStore(['sh', '-c', EXPORT, 'export', image, output, POLICY, 'buildah', ...(await storeOptions())]);
}

function buildArguments(mirrors: Mirrors, aptSettings: string): string[] {
  const values = { DEBIAN_MIRROR: mirrors.debian, SECURITY_MIRROR: mirrors.security ?? '', APT_CONF: aptSettings };
  return Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
}

/**
 * buildah would raise these limits for what it runs, which is not always allowed: the hard ones are kept, the number of
 * processes no higher than what older versions set before they look.
 */
async function keptLimits(): Promise<string[]> {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const hard = (name: string) => Number(new RegExp(`^${name} +\\S+ +(\\d+)`, 'm').exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  const wanted = { nofile: Math.min(hard('Max open files'), 1_048_576), nproc: Math.min(hard('Max processes'), 32_768) };
  return Object.entries(wanted).flatMap(([name, value]) => ['--ulimit', `${name}=${value}:${value}`]);
}

/** Runs buildah on the store of this checkout. */
export async function buildah(args: readonly string[]): Promise<void> {
  await mkdir(STORE, { recursive: true });
  await writeFile(POLICY, '{"default": [{"type": "insecureAcceptAnything"}]}\n');
  await inStore(['buildah', ...(await storeOptions()), ...args]);
}

function inStore(command: readonly string[]): Promise<void> {
  const env = { ...process.env, BUILDAH_ISOLATION: 'chroot' };
  return withOwnMounts(STORE, (prefix) => runLogged(asRoot([...prefix, ...command]), { log, env }));
}

/** Layers as overlay mounts, or as plain copies where those are refused (a checkout that lies on an overlay itself). */
export async function storeOptions(): Promise<string[]> {
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
