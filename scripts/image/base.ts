// The base image that the Dockerfile's stages begin from where there is no Docker: Debian 13 made from its packages, for
// no image registry may be in reach.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { runLogged } from '../bootstrap/progress.mjs';
import { LOGS, STORE } from '../build/paths.ts';
import { machineAptSettings } from './apt-settings.ts';
import { machineMirrors } from './apt-sources.ts';
import { buildah, POLICY, storeOptions } from './builder.ts';
import { asRoot } from './privilege.ts';

const NAME = 'debian:trixie-slim';
// 2024-01-01: what mmdebstrap gives files it makes itself.
const SOURCE_DATE_EPOCH = '1704067200';
/** What Debian's own slim image leaves out; apt does not unpack it with later packages either. */
const LEFT_OUT = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/info/*', '/usr/share/locale/*', '/usr/share/lintian/*'];

/** Makes the image in buildah's store. */
export async function buildBase(): Promise<void> {
  const log = path.join(LOGS, 'image.log');
  const context = path.join(STORE, 'base');
  await rm(context, { recursive: true, force: true });
  await mkdir(context, { recursive: true });
  const { debian } = await machineMirrors();
  const dpkg = [...LEFT_OUT.map((files) => `path-exclude=${files}`), 'path-include=/usr/share/doc/*/copyright'];
  const apt = (await machineAptSettings()).split('\n').filter(Boolean);
  const options = [...dpkg.map((line) => `--dpkgopt=${line}`), ...apt.map((line) => `--aptopt=${line}`)];
  // prune.sh takes it out again.
  if (debian.startsWith('https:')) options.push('--include=ca-certificates');
  const command = [
    'mmdebstrap',
    '--variant=minbase',
    ...options,
    'trixie',
    path.join(context, 'base.tar'),
    `deb ${debian} trixie main`,
  ];
  await runLogged(command, { log, env: { ...process.env, SOURCE_DATE_EPOCH } });
  await writeFile(path.join(context, 'Dockerfile'), 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n');
  await buildah(['bud', '--layers=false', '--signature-policy', POLICY, '-t', NAME, context]);
  await rm(context, { recursive: true, force: true });
}

/** Whether the store holds the image. */
export async function hasBase(): Promise<boolean> {
  const inspect = asRoot(['buildah', ...(await storeOptions()), 'inspect', '--type', 'image', NAME]);
  return (await execa(inspect[0]!, inspect.slice(1), { reject: false })).exitCode === 0;
}
