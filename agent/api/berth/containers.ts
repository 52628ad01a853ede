// berth.v1.Containers: made from an OCI configuration, started, watched, limited, removed.
import { berth } from '#proto/berth.js';
import type { Container } from '../../container/container.ts';
import type { ResourcesSpec } from '../../container/spec/resources.ts';
import { readSpec } from '../../container/spec/shape.ts';
import type { Storage } from '../../container/storage/storage.ts';
import { AgentError } from '../../errors.ts';
import type { Method } from '../../rpc/service.ts';
import type { Clients } from '../../sandbox/clients.ts';
import type { ContainerLifetimes } from '../../sandbox/container-lifetime.ts';
import type { ProcessTable } from '../../sandbox/process-table.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { containerMessage } from './container-message.ts';
import { containerStats } from './container-stats.ts';
import { checkLabels, matchesLabels } from './labels.ts';
import { berthService } from './method.ts';
import { lifetimeMessage, processMessage } from './process-message.ts';
import { checkKey, toLifetime, toOutput } from './start-request.ts';

const v1 = berth.v1;
/** A CPU quota is told for this period. */
const PERIOD_US = 100_000n;
const STATS_INTERVAL_MS = { least: 100, most: 3_600_000 };

export interface ContainerMethodOptions {
  readonly sandbox: Sandbox;
  readonly clients: Clients;
  readonly processes: ProcessTable;
  readonly lifetimes: ContainerLifetimes;
  bootId(): Promise<string>;
}

export function containerMethods({ sandbox, clients, processes, lifetimes, bootId }: ContainerMethodOptions): Method[] {
  const { unary, serverStream } = berthService('Containers', clients);
  const told = async (container: Container) => ({
    ...containerMessage(container),
    init: processMessage(processes.get({ containerId: container.id, processId: '' }), await bootId()),
    lifetime: lifetimeMessage(lifetimes.of(container)),
  });
  const alone = async (id: string, work: (container: Container) => Promise<void>) => {
    await sandbox.alone(id, work);
    return told(sandbox.container(id));
  };
  return [
    unary('Create', v1.CreateContainerRequest, v1.Container, async (request, { client }) => {
      const lifetime = toLifetime(request.lifetime);
      const container = await sandbox.createContainer({
        id: request.id,
        spec: readSpec(request.specJson),
        storages: request.storages.map(toStorage),
        sandboxPidns: false,
        key: checkKey(request.key),
        labels: checkLabels(request.labels),
        owner: client.name,
        lifetime,
        clientSession: client.session,
        output: toOutput(request),
        stdin: request.stdin,
      });
      lifetimes.watch(container, lifetime, client);
      return told(container);
    }),
    unary('Start', v1.StartContainerRequest, v1.Container, ({ id }) =>
      alone(id, async (container) => {
        if (container.state !== 'running') await container.start();
      }),
    ),
    unary('List', v1.ListRequest, v1.ListResponse, async ({ labels }) => ({
      containers: await Promise.all(sandbox.containers.filter((container) => matchesLabels(container.labels, labels)).map(told)),
    })),
    unary('Inspect', v1.InspectContainerRequest, v1.Container, ({ id }) => told(sandbox.container(id))),
    unary('Delete', v1.DeleteContainerRequest, v1.DeleteContainerResponse, async ({ id }) => {
      await sandbox.removeContainer(id);
      return {};
    }),
    unary('Pause', v1.PauseRequest, v1.Container, ({ id }) => alone(id, (container) => container.pause())),
    unary('Resume', v1.ResumeRequest, v1.Container, ({ id }) => alone(id, (container) => container.resume())),
    unary('Update', v1.UpdateContainerRequest, v1.Container, (request) => {
      const resources = toResources(request);
      return alone(request.id, (container) => container.update(resources));
    }),
    serverStream('Stats', v1.ContainerStatsRequest, v1.ContainerStats, ({ id, intervalMs }, { signal }) =>
      containerStats(sandbox.container(id), checkInterval(intervalMs), signal),
    ),
  ];
}

function checkInterval(intervalMs: number): number {
  if (intervalMs === 0 || (intervalMs >= STATS_INTERVAL_MS.least && intervalMs <= STATS_INTERVAL_MS.most)) return intervalMs;
  const range = `${STATS_INTERVAL_MS.least} to ${STATS_INTERVAL_MS.most}`;
  throw new AgentError('invalid_argument', `interval_ms: ${intervalMs}, not 0 nor ${range}`, {
    fields: { field: 'interval_ms' },
  });
}

function toStorage(storage: berth.v1.Storage.$Properties): Storage {
  return {
    driver: storage.driver ?? '',
    driverOptions: storage.driverOptions ?? [],
    source: storage.source ?? '',
    fstype: storage.filesystem ?? '',
    options: storage.options ?? [],
    mountPoint: storage.mountPoint ?? '',
    shared: false,
  };
}

/** Absent fields stay absent: what is not asked for is not changed. */
function toResources({ memoryBytes, cpuQuotaUs, cpuWeight, pids, cpus }: berth.v1.UpdateContainerRequest): ResourcesSpec {
  const cpu = {
    ...(cpuQuotaUs == null ? {} : { quota: cpuQuotaUs, period: PERIOD_US }),
    ...(cpuWeight == null ? {} : { shares: sharesOf(cpuWeight) }),
    ...(cpus == null ? {} : { cpus }),
  };
  return {
    ...(memoryBytes == null ? {} : { memory: { limit: memoryBytes } }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(pids == null ? {} : { pids: { limit: pids } }),
  };
}

/** The OCI specification still speaks of cgroup v1's shares, 2 to 262144, which crun turns back into a weight of 1 to 10000. */
function sharesOf(weight: number): bigint {
  if (weight < 1 || weight > 10_000) {
    throw new AgentError('invalid_argument', `cpu_weight: ${weight}, not 1 to 10000`, { fields: { field: 'cpu_weight' } });
  }
  return 2n + ((BigInt(weight) - 1n) * 262_142n) / 9_999n;
}
