// Where the programs a guest needs are: unpacked by the build, on PATH, or where Debian keeps what is not for people.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { projectRoot } from './project-root.ts';

export type Tool = 'qemu-system-x86_64' | 'vhost-device-vsock' | 'virtiofsd';

/** The Debian package of each; for messages. */
export const toolPackages: Readonly<Record<Tool, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'vhost-device-vsock': 'vhost-device-vsock',
  virtiofsd: 'virtiofsd (in qemu-system-common on Debian 12)',
};

/** The absolute path of a program, or undefined. */
export function findTool(tool: Tool, path = process.env['PATH'] ?? ''): string | undefined {
  const folders = [
    join(projectRoot, 'build/tools'),
    join(projectRoot, 'build/tools/usr/bin'),
    ...path.split(delimiter).filter((folder) => folder.startsWith('/')),
    '/usr/libexec',
    '/usr/lib/qemu',
  ];
  return folders.map((folder) => join(folder, tool)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
