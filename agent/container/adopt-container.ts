// Takes over a container that an earlier agent made, or takes down what is left of one.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '../errors.ts';
import { StateRecord } from '../keeper/state-record.ts';
import { adoptProcess, type StartedFacts } from '../process/adopt-process.ts';
import { bundleOf, removeTree } from './bundle.ts';
import { openCgroup } from './cgroup.ts';
import { Container } from './container.ts';
import type { ContainerHost } from './container-host.ts';
import { CONTAINER_KIND, type ContainerFacts } from './container-record.ts';
import { type SandboxView, tellOom } from './create-container.ts';
import { adoptCgroup, isDelegated } from './exec-cgroups.ts';
import { watchOom } from './oom.ts';
import { DEFAULT_CGROUP_PARENT } from './spec/context.ts';
import { readSpec } from './spec/shape.ts';

export interface AdoptedContainer {
  readonly facts: ContainerFacts;
  /** Its init among them. */
  readonly processes: readonly StartedFacts[];
}

/** @throws internal when its bundle or its init process is not there any more */
export async function adoptContainer(
  host: ContainerHost,
  { facts, processes }: AdoptedContainer,
  sandbox: Pick<SandboxView, 'onOom'>,
): Promise<Container> {
  const { id } = facts;
  const bundle = bundleOf(host.bundleDir, id);
  const spec = readSpec(await readFile(join(bundle.directory, 'config.json'), 'utf8'));
  const cgroup = openCgroup(facts.cgroupPath);
  const initFacts = processes.find(({ execId }) => execId === id);
  if (initFacts === undefined) throw new AgentError('internal', `nothing is known of the init process of container ${id}`);
  const record = new StateRecord<ContainerFacts>(host.state, CONTAINER_KIND, id, facts, { read: true });
  if (facts.starting) {
    const startedAt = (await host.crun.waitsForStart(id)) ? undefined : Date.now();
    record.update({ starting: false, ...(startedAt !== undefined && { startedAt }) });
  }
  const init = await adoptProcess(host, initFacts);
  const oom = await watchOom(cgroup.directory, tellOom(record, sandbox), { told: facts.oomKills });
  const container = new Container(
    host,
    {
      record,
      spec,
      bundle,
      cgroup,
      init,
      storages: host.storages.hold(facts.storages),
      guestAddresses: new Map(facts.guestAddresses),
      oom,
      adopted: { delegated: await isDelegated(cgroup) },
    },
    host.log,
  );
  await container.adoptPause();
  const execs = processes.filter((each) => each !== initFacts);
  const adopted = await Promise.all(execs.map((each) => adoptProcess(host, each)));
  for (const [index, process] of adopted.entries()) {
    const { owner, cgroup: path } = execs[index]!;
    const keep = owner !== undefined;
    container.adopt(process, { keep, cgroup: path === undefined ? undefined : adoptCgroup(path, { keepFigures: keep }) });
  }
  return container;
}

/** Takes down every trace of a container that was half made or half removed. May be repeated. */
export async function undoContainer(host: ContainerHost, facts: Pick<ContainerFacts, 'id' | 'cgroupPath'>): Promise<void> {
  const cgroup = openCgroup(facts.cgroupPath);
  await cgroup.killAll();
  await host.crun.delete(facts.id);
  await cgroup.remove(DEFAULT_CGROUP_PARENT);
  await removeTree(host.door, bundleOf(host.bundleDir, facts.id).directory);
}
