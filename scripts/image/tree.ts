// Unpacks what a stage gave and takes out what differs from build to build or belongs to the building machine.
import { rm } from 'node:fs/promises';
import { runLogged } from '../bootstrap/progress.mjs';
import { asRoot } from './privilege.ts';

/**
 * Builders mount their own files over these while a RUN step goes on, and leave the mount points behind; the mount
 * points of a guest or container are empty. `$1` is the tree.
 */
const NORMALISE = `
set -eu
cd "$1"
for directory in dev proc run sys tmp; do
  rm -rf "$directory"
  mkdir "$directory"
done
chmod 1777 tmp
for file in etc/hostname etc/hosts etc/resolv.conf; do
  rm -f "$file"
  : > "$file"
  chmod 644 "$file"
done
printf '127.0.0.1\\tlocalhost\\n::1\\tlocalhost ip6-localhost ip6-loopback\\n' > etc/hosts
rm -f .dockerenv
`;

/** Replaces the folder `tree` by the content of the tar file `archive`, normalised unless it is no root file system. */
export async function unpackTree(archive: string, tree: string, log: string, normalise = true): Promise<void> {
  await removeTree(tree, log);
  await runLogged(asRoot(['mkdir', '-p', tree]), { log });
  await runLogged(asRoot(['tar', '-xpf', archive, '--numeric-owner', '-C', tree]), { log });
  if (normalise) await normaliseTree(tree, log);
}

export async function normaliseTree(tree: string, log: string): Promise<void> {
  await runLogged(asRoot(['sh', '-c', NORMALISE, 'normalise', tree]), { log });
}

/** A tree may hold files of users that only root, or root in the user namespace, may remove. */
export async function removeTree(tree: string, log: string): Promise<void> {
  if (process.getuid?.() === 0) await rm(tree, { recursive: true, force: true });
  else await runLogged(asRoot(['rm', '-rf', tree]), { log });
}
