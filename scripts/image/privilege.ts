// Trees with files of several owners are handled as root: ours when we are root, else the one of a user namespace.

/** The command that runs `command` as root, over the files that earlier such commands made. */
export function asRoot(command: readonly string[], uid = process.getuid?.()): string[] {
  return uid === 0 ? [...command] : ['buildah', 'unshare', '--', ...command];
}
