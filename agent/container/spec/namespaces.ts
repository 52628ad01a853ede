// Which namespaces a container gets (kata-agent.md §5.3): the host leaves out what the agent is to add.
import { NAMESPACE_DIRECTORIES, type PrepareContext } from './context.ts';
import { checkAbsolutePath, isWithin } from './paths.ts';
import { quote, refuse } from './refusal.ts';
import type { LinuxSpec, NamespaceSpec, NamespaceType } from './types.ts';

/** The types that crun is always given: without them a container would run in the guest's own. */
const ALWAYS: readonly NamespaceType[] = ['pid', 'mount', 'cgroup'];

/**
 * One entry a type, in the order listed, then what has to be there.
 * @throws invalid_argument
 */
export function prepareNamespaces(linux: LinuxSpec, context: PrepareContext): NamespaceSpec[] {
  const byType = new Map<NamespaceType, NamespaceSpec>();
  linux.namespaces.forEach((namespace, index) => {
    const prepared = prepareNamespace(namespace, `linux.namespaces[${index}].path`, context);
    const earlier = byType.get(namespace.type);
    // crun refuses a type that is listed twice; Kata's template lists pid, and so does the agent.
    if (earlier !== undefined && earlier.path !== prepared.path) {
      refuse(`linux.namespaces[${index}].type`, `${namespace.type} is listed twice, with different paths`);
    }
    byType.set(namespace.type, prepared);
  });
  for (const type of ALWAYS) {
    if (!byType.has(type)) byType.set(type, prepareNamespace({ type }, 'linux.namespaces', context));
  }
  if (!byType.has('network') && Object.keys(linux.sysctl ?? {}).some((key) => key.startsWith('net.'))) {
    // crun writes net.* only with a network namespace listed; the shared one counts when it is joined by path.
    byType.set('network', { type: 'network', path: context.guestNetns });
  }
  checkMappings(linux, byType.get('user'));
  return [...byType.values()];
}

function prepareNamespace({ type, path }: NamespaceSpec, field: string, context: PrepareContext): NamespaceSpec {
  const { sandbox } = context;
  switch (type) {
    case 'ipc':
      return join(type, sandbox.ipcPath);
    case 'uts':
      return join(type, sandbox.utsPath);
    case 'pid':
      return join(type, context.sandboxPidns ? sandbox.pidPath : undefined);
    case 'mount':
      if (path !== undefined) refuse(field, 'a container always gets a mount namespace of its own');
      return { type };
    default:
      return join(type, path === undefined ? undefined : checkNamespacePath(path, field, context));
  }
}

/** crun opens an empty path and fails, so a new namespace is one without the key. */
function join(type: NamespaceType, path: string | undefined): NamespaceSpec {
  return path === undefined ? { type } : { type, path };
}

function checkNamespacePath(path: string, field: string, context: PrepareContext): string {
  if (path === context.guestNetns) return path;
  const normal = checkAbsolutePath(path, field);
  if (!NAMESPACE_DIRECTORIES.some((directory) => isWithin(normal, directory) && normal !== directory)) {
    refuse(field, `${quote(path)} is not in ${NAMESPACE_DIRECTORIES.join(', ')}`);
  }
  return normal;
}

function checkMappings(linux: LinuxSpec, user: NamespaceSpec | undefined): void {
  for (const key of ['uidMappings', 'gidMappings'] as const) {
    const mappings = linux[key] ?? [];
    if (user === undefined && mappings.length > 0) refuse(`linux.${key}`, 'needs a user namespace');
    if (user !== undefined && user.path === undefined && mappings.length === 0) {
      refuse(`linux.${key}`, 'a new user namespace needs mappings');
    }
  }
}
