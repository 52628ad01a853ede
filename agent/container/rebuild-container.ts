// A container whose record is lost, as far as crun, its bundle and its cgroup tell of it. What only the agent knew is gone: labels, owner, key,
// lifetime, execs.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessFacts } from '../process/process-record.ts';
import { bundleOf } from './bundle.ts';
import { openCgroup } from './cgroup.ts';
import type { ContainerHost } from './container-host.ts';
import type { ContainerFacts } from './container-record.ts';
import { countOomKills } from './oom.ts';
import { isWithin } from './spec/paths.ts';
import { readSpec } from './spec/shape.ts';
import type { RuntimeSpec } from './spec/types.ts';
import type { StorageFacts } from './storage/storage-table.ts';

export interface RebuiltContainer {
  readonly facts: ContainerFacts;
  /** Whether its pid namespace is its own. */
  readonly ownPidns: boolean;
}

/** @param storages all that are known of @throws when crun knows no process of it, or its bundle is not whole */
export async function rebuildContainer(
  host: Pick<ContainerHost, 'crun' | 'bundleDir'>,
  id: string,
  storages: readonly StorageFacts[],
): Promise<RebuiltContainer> {
  const { createdAt } = await host.crun.status(id);
  const spec = await readBundle(host, id);
  const cgroup = openCgroup(spec.linux.cgroupsPath ?? `/${id}`);
  const waits = await host.crun.waitsForStart(id);
  const facts: ContainerFacts = {
    id,
    phase: 'made',
    labels: {},
    owner: '',
    cgroupPath: cgroup.path,
    createdAt,
    ...(!waits && { startedAt: createdAt }),
    storages: storages.filter((each) => isOf(each, id, spec, host)).map(({ storage }) => storage.mountPoint),
    guestAddresses: [],
    // Which of them were told nobody knows; none is told twice.
    oomKills: await countOomKills(cgroup.directory),
  };
  return { facts, ownPidns: spec.linux.namespaces?.some(({ type, path }) => type === 'pid' && !path) ?? false };
}

/** The init process of a container, by crun. @param streams their key, '' when they are lost */
export async function rebuildInit(
  host: Pick<ContainerHost, 'crun' | 'bundleDir'>,
  id: string,
  streams: string,
): Promise<ProcessFacts & { pid: number }> {
  const { pid, startTime, createdAt } = await host.crun.status(id);
  const { process } = await readBundle(host, id);
  return { containerId: id, execId: id, args: process.args ?? [], since: 0n, streams, pid, startTime, startedAt: createdAt };
}

async function readBundle({ bundleDir }: Pick<ContainerHost, 'bundleDir'>, id: string): Promise<RuntimeSpec> {
  return readSpec(await readFile(join(bundleOf(bundleDir, id).directory, 'config.json'), 'utf8'));
}

/** It was the first to ask for the storage, or it uses what is mounted there. */
function isOf({ storage, containerId }: StorageFacts, id: string, spec: RuntimeSpec, host: Pick<ContainerHost, 'bundleDir'>) {
  const { mountPoint } = storage;
  if (containerId === id || isWithin(mountPoint, bundleOf(host.bundleDir, id).directory)) return true;
  return containerId !== '' && spec.mounts.some(({ source }) => source !== undefined && isWithin(source, mountPoint));
}
