// A container's mounts: destinations that can't undermine /proc, sources that can't expose the agent.
import { DEFAULT_PRIVATE_PATHS, type PrepareContext } from './context.ts';
import { checkAbsolutePath, isProcessLink, isWithin } from './paths.ts';
import { quote, refuse } from './refusal.ts';
import type { MountSpec } from './types.ts';

/** Files of /proc that may be replaced, as lxcfs does; any other would fool the runtime (CVE-2019-16884). */
const PROC_FILES: ReadonlySet<string> = new Set(
  ['cpuinfo', 'diskstats', 'meminfo', 'stat', 'swaps', 'uptime', 'loadavg', 'net/dev'].map((name) => `/proc/${name}`),
);

const BIND_OPTIONS: ReadonlySet<string> = new Set(['bind', 'rbind']);

/** @throws invalid_argument naming the mount */
export function prepareMounts(mounts: readonly MountSpec[], context: PrepareContext): MountSpec[] {
  const privatePaths = context.privatePaths ?? DEFAULT_PRIVATE_PATHS;
  return mounts.map((mount, index) => prepareMount(mount, `mounts[${index}]`, privatePaths));
}

function prepareMount(mount: MountSpec, field: string, privatePaths: readonly string[]): MountSpec {
  if (mount.destination === '') refuse(`${field}.destination`, 'is empty');
  // config.md: a relative destination counts from the container's root.
  const destination = checkAbsolutePath(
    mount.destination.startsWith('/') ? mount.destination : `/${mount.destination}`,
    `${field}.destination`,
  );
  if (destination === '/') refuse(`${field}.destination`, 'is the root itself');
  checkType(mount, field);
  const bind = isBind(mount);
  const source = bind ? checkSource(mount.source, `${field}.source`, privatePaths) : mount.source;
  checkOverProc(destination, { ...mount, source }, bind, field);
  return { ...mount, destination, source };
}

export function isBind(mount: MountSpec): boolean {
  return mount.type === 'bind' || (mount.options ?? []).some((option) => BIND_OPTIONS.has(option));
}

function checkType({ type }: MountSpec, field: string): void {
  if (type !== undefined && !/^[A-Za-z0-9_.-]{1,64}$/.test(type))
    refuse(`${field}.type`, `${quote(type)} is no file system type`);
}

/** The path made plain. @throws invalid_argument for one that would show a container what is not meant for it */
export function checkSource(source: string | undefined, field: string, privatePaths: readonly string[]): string {
  if (source === undefined) refuse(field, 'a bind mount needs a source');
  const normal = checkAbsolutePath(source, field);
  if (isProcessLink(normal)) refuse(field, `${quote(source)} leads into another process`);
  for (const path of privatePaths) {
    if (isWithin(normal, path) || isWithin(path, normal)) refuse(field, `${quote(source)} would expose ${path}`);
  }
  return normal;
}

function checkOverProc(destination: string, mount: MountSpec, bind: boolean, field: string): void {
  if (!isWithin(destination, '/proc')) return;
  if (destination === '/proc') {
    const isProc = bind ? mount.source === '/proc' : mount.type === 'proc';
    if (!isProc) refuse(`${field}.destination`, 'only a proc file system can be mounted on /proc');
    return;
  }
  if (!PROC_FILES.has(destination)) refuse(`${field}.destination`, `${quote(destination)} can't be mounted over`);
}
