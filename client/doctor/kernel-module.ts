// Where a module of the host's kernel is: in use, part of the kernel, on disk, or nowhere.
import type { System } from './system.ts';

export type ModuleState = 'loaded' | 'built in' | 'on disk' | 'absent';

/** @param name with underscores, as /proc/modules has it (man 8 lsmod) */
export async function moduleState(system: System, name: string): Promise<ModuleState> {
  const loaded = (await system.read('/proc/modules')) ?? '';
  if (loaded.split('\n').some((line) => line.startsWith(`${name} `))) return 'loaded';
  const folder = `/lib/modules/${system.kernelRelease}`;
  if (mentions(await system.read(`${folder}/modules.builtin`), name)) return 'built in';
  // One that is built in and has parameters or a version has a folder here, and no line in /proc/modules.
  if (await system.exists(`/sys/module/${name}`)) return 'built in';
  return mentions(await system.read(`${folder}/modules.dep`), name) ? 'on disk' : 'absent';
}

/** man 5 modules.dep: `kernel/drivers/vhost/vhost_vsock.ko.xz: ...`; file names may have dashes for the underscores. */
function mentions(index: string | undefined, name: string): boolean {
  const pattern = new RegExp(`(^|/)${name.replaceAll('_', '[-_]')}\\.ko(\\.\\w+)?(:|$)`, 'm');
  return index !== undefined && pattern.test(index);
}

/** @returns why not, or undefined when it was loaded */
export async function loadModule(system: System, name: string): Promise<string | undefined> {
  const command = system.user.uid === 0 ? ['modprobe', name] : ['sudo', '-n', 'modprobe', name];
  const { code, stderr } = await system.run(command[0]!, command.slice(1), LOAD_MS);
  if (code === 0) return undefined;
  return stderr.trim().split('\n').at(-1) || `${command.join(' ')} failed${code === undefined ? '' : ` with ${code}`}`;
}

const LOAD_MS = 10_000;
