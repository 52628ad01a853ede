// Which kernel parameters a container may set: those that belong to one of its namespaces.
import { quote, refuse } from './refusal.ts';
import type { NamespaceSpec, NamespaceType } from './types.ts';

/** Components of letters, digits, `_` and `-`: neither empty ones nor `..` can lead out of /proc/sys. */
const KEY = /^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)+$/;

const IPC_KEYS: ReadonlySet<string> = new Set(
  ['msgmax', 'msgmnb', 'msgmni', 'sem', 'shmall', 'shmmax', 'shmmni', 'shm_rmid_forced'].map((name) => `kernel.${name}`),
);

/** @throws invalid_argument naming the key */
export function checkSysctls(sysctl: Readonly<Record<string, string>> | undefined, namespaces: readonly NamespaceSpec[]): void {
  const listed = new Set(namespaces.map(({ type }) => type));
  for (const key of Object.keys(sysctl ?? {})) {
    const field = `linux.sysctl[${quote(key)}]`;
    if (!KEY.test(key)) refuse(field, 'is not the name of a kernel parameter');
    if (key === 'kernel.hostname') refuse(field, 'the hostname is set by `hostname`');
    const owner = ownerOf(key);
    if (owner === undefined) refuse(field, 'does not belong to a namespace');
    if (!listed.has(owner)) refuse(field, `needs a ${owner} namespace`);
  }
}

function ownerOf(key: string): NamespaceType | undefined {
  if (key.startsWith('net.')) return 'network';
  if (key.startsWith('fs.mqueue.') || IPC_KEYS.has(key)) return 'ipc';
  if (key === 'kernel.domainname') return 'uts';
  return undefined;
}
