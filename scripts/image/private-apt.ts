// apt with sources, lists and state of its own, so that a package of another Debian release can be downloaded without
// touching what this machine installs from.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { runLogged } from '../bootstrap/progress.mjs';
import { machineAptSettings } from './apt-settings.ts';
import { machineMirrors } from './apt-sources.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Downloads `packages` of `suite` into `folder` as .deb files, without what they depend on. */
export async function downloadPackages(suite: string, packages: readonly string[], folder: string, log: string): Promise<void> {
  const state = path.join(folder, 'apt');
  await mkdir(path.join(state, 'lists/partial'), { recursive: true });
  await mkdir(path.join(state, 'archives/partial'), { recursive: true });
  await writeFile(path.join(state, 'status'), '');
  const { debian } = await machineMirrors();
  await writeFile(path.join(state, 'sources.list'), `deb [signed-by=${KEYRING}] ${debian} ${suite} main\n`);
  const settings = {
    'Dir::Etc::sourcelist': 'sources.list',
    'Dir::Etc::sourceparts': 'no-parts',
    'Dir::Etc::preferences': 'no-preferences',
    'Dir::Etc::preferencesparts': 'no-parts',
    'Dir::Etc': state,
    'Dir::State': state,
    'Dir::State::lists': 'lists',
    'Dir::State::status': path.join(state, 'status'),
    'Dir::Cache': state,
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  await writeFile(path.join(state, 'apt.conf'), lines.join('') + (await machineAptSettings()));
  const env = { ...process.env, APT_CONFIG: path.join(state, 'apt.conf'), LC_ALL: 'C.UTF-8' };
  await runLogged(['apt-get', '-q', 'update'], { log, env });
  await runLogged(['apt-get', '-q', 'download', ...packages], { cwd: folder, log, env });
}
