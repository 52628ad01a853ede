// What building a tree takes: root's rights over files of several owners, and mounts that nobody else sees.
import path from 'node:path';
import { execa } from 'execa';

/** The command that runs `command` as root: ourselves when we are, else root of the user namespace that buildah makes. */
export function asRoot(command: readonly string[], uid = process.getuid?.()): string[] {
  return uid === 0 ? [...command] : ['buildah', 'unshare', '--', ...command];
}

/** In a plain chroot `/` is no mount point, and unshare and buildah both need one. A bind mount of it is; `$0` is where. */
const ENTER_BIND = `
set -e
mkdir -p "$0"
mount --rbind / "$0"
mount --make-rprivate "$0"
here=$PWD
cd "$0"
exec chroot . sh -c 'cd "$0" && exec "$@"' "$here" "$@"
`;

/**
 * Runs `work` with what to put before its commands to give each a mount namespace of its own: the mounts that a failed
 * build leaves end with it.
 * @param folder for a mount point, where one is needed
 */
export async function withOwnMounts(folder: string, work: (prefix: readonly string[]) => Promise<void>): Promise<void> {
  const plain = asRoot(['unshare', '--mount', 'true']);
  const { exitCode } = await execa(plain[0]!, plain.slice(1), { reject: false });
  if (exitCode === 0) return work(['unshare', '--mount']);
  const point = path.join(folder, 'root');
  try {
    await work(['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c', ENTER_BIND, point]);
  } finally {
    // Where mounts are shared the bind appeared out here too.
    await execa('umount', ['--recursive', '--lazy', point], { reject: false });
  }
}
