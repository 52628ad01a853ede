// What exists and a damaged journal does not tell of: found with crun, in bundles, cgroups and the mount table, and written down anew.
// Loaded only then.
import type { ContainerHost } from '../container/container-host.ts';
import { CONTAINER_KIND, type ContainerFacts } from '../container/container-record.ts';
import { type RebuiltContainer, rebuildContainer, rebuildInit } from '../container/rebuild-container.ts';
import type { StorageFacts } from '../container/storage/storage-table.ts';
import { pinnedNamespaces } from '../guest/namespaces.ts';
import { findStreams } from '../process/find-streams.ts';
import { PROCESS_KIND, type ProcessFacts, processRecordId } from '../process/process-record.ts';
import { type ContainerOrigin, SANDBOX_KIND, type SandboxFacts } from './sandbox-facts.ts';

export interface Known {
  readonly containers: readonly ContainerFacts[];
  readonly processes: readonly ProcessFacts[];
  readonly storages: readonly StorageFacts[];
  readonly sandbox: SandboxFacts | undefined;
}

export interface Rebuilt extends Known {
  /** Ids of the containers that had no record any more. */
  readonly found: readonly string[];
}

/** Never throws for want of one container: that one is left as it was. */
export async function rebuild(host: ContainerHost, known: Known): Promise<Rebuilt> {
  const sandbox = known.sandbox ?? (await rebuildSandbox(known.storages));
  if (known.sandbox === undefined) host.state.put(SANDBOX_KIND, '', sandbox);
  const found = await findContainers(host, known);
  const containers = [...known.containers, ...sharing(found, known.containers)];
  for (const facts of containers.slice(known.containers.length)) host.state.put(CONTAINER_KIND, facts.id, facts);
  const processes = await withInits(host, containers, known.processes);
  return { ...known, sandbox, containers, processes, found: found.map(({ facts }) => facts.id) };
}

async function findContainers(host: ContainerHost, known: Known): Promise<RebuiltContainer[]> {
  const told = new Set(known.containers.map(({ id }) => id));
  const found: RebuiltContainer[] = [];
  for (const id of await host.crun.list()) {
    if (told.has(id)) continue;
    try {
      const { facts, ownPidns } = await rebuildContainer(host, id, known.storages);
      found.push({ facts: { ...facts, more: { key: '' } satisfies ContainerOrigin }, ownPidns });
    } catch (error) {
      host.log.warn('container of which too little is known', { container: id, error });
    }
  }
  return found;
}

/** Of the sandbox's containers the first shares its pid namespace; one that was found may be it. */
function sharing(found: readonly RebuiltContainer[], known: readonly ContainerFacts[]): ContainerFacts[] {
  const [oldest] = found.filter(({ ownPidns }) => ownPidns).sort((a, b) => a.facts.createdAt - b.facts.createdAt);
  const none = !known.some(({ sharesPidns }) => sharesPidns);
  return found.map((one) => (none && one === oldest ? { ...one.facts, sharesPidns: true } : one.facts));
}

/** With the init process of each container that is to live on. */
async function withInits(
  host: ContainerHost,
  containers: readonly ContainerFacts[],
  processes: readonly ProcessFacts[],
): Promise<ProcessFacts[]> {
  const inits = new Set(processes.filter(({ pid }) => pid !== undefined).map(processRecordId));
  const lost = containers.filter(
    ({ id, phase }) => phase === 'made' && !inits.has(processRecordId({ containerId: id, execId: id })),
  );
  if (lost.length === 0) return [...processes];
  const streams = await findStreams(host.keeper.fds);
  const rebuilt = new Map(processes.map((facts) => [processRecordId(facts), facts]));
  for (const { id } of lost) {
    const name = processRecordId({ containerId: id, execId: id });
    try {
      const facts = await rebuildInit(host, id, rebuilt.get(name)?.streams ?? streams.get(name) ?? '');
      host.state.put(PROCESS_KIND, name, facts);
      rebuilt.set(name, facts);
    } catch (error) {
      host.log.warn('init process of which too little is known', { container: id, error });
    }
  }
  return [...rebuilt.values()];
}

/** Its name is lost, and the guest's hooks with it. */
async function rebuildSandbox(storages: readonly StorageFacts[]): Promise<SandboxFacts> {
  const own = storages.filter(({ containerId }) => containerId === '').map(({ storage }) => storage.mountPoint);
  return { phase: 'made', id: '', namespaces: await pinnedNamespaces(), storages: own, guestHooks: {} };
}
