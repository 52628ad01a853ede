// Makes a container, or nothing: every step that was done is undone when a later one fails, or by the next agent when this one dies.
import { faultPoint } from '../fault-point.ts';
import { readMounts } from '../guest/mount-table.ts';
import type { PassedConnections } from '../process/passed-connections.ts';
import type { OutputOptions } from '../process/stdio.ts';
import { bundleOf, mountRootfs, removeTree, writeBundleFile } from './bundle.ts';
import { openCgroup } from './cgroup.ts';
import { Container } from './container.ts';
import type { ContainerHost } from './container-host.ts';
import { type ContainerRecord, recordContainer } from './container-record.ts';
import { type CopiedMount, checkCopiedMounts, copyMounts, type InitProcess } from './copied-mounts.ts';
import type { DeviceRequest } from './device/device.ts';
import { inGuestNumbers } from './device/spec-devices.ts';
import { inheritOptions } from './inherited-options.ts';
import { launch } from './launch.ts';
import { checkMountSources } from './mount-sources.ts';
import { watchOom } from './oom.ts';
import { DEFAULT_CGROUP_PARENT } from './spec/context.ts';
import { stringifySpec } from './spec/json.ts';
import { type PrepareContext, prepareSpec } from './spec/prepare.ts';
import type { RuntimeSpec } from './spec/types.ts';
import type { Storage } from './storage/storage.ts';

export interface CreateContainerRequest {
  /** Checked by the caller (spec/ids.ts). */
  readonly id: string;
  readonly spec: RuntimeSpec;
  readonly storages: readonly Storage[];
  /** Mounts of other containers that this one gets. */
  readonly copiedMounts?: readonly CopiedMount[];
  readonly devices?: readonly DeviceRequest[];
  /** For whoever lists containers. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Name of the client that asks; empty for one of Kata's. */
  readonly owner?: string;
  /** Of the init process's output; as Kata has it unless told. */
  readonly output?: OutputOptions | undefined;
  /** Without one the init process reads /dev/null; there is one unless told. */
  readonly stdin?: boolean | undefined;
  /** Where the init process's streams go, instead of into logs. */
  readonly passed?: PassedConnections | undefined;
  /** Written down with it. */
  readonly more?: unknown;
}

/** What the sandbox adds: its namespaces, and whom to tell of an out-of-memory kill. */
export interface SandboxView extends Omit<PrepareContext, 'containerId' | 'bundleRootfs' | 'onDropped'> {
  onOom(containerId: string): void;
  /** The init process of another container, by its id or its name in the pod. */
  initOf(container: string): InitProcess | undefined;
}

/** @throws invalid_argument naming the field; internal with crun's text */
export async function createContainer(
  host: ContainerHost,
  request: CreateContainerRequest,
  sandbox: SandboxView,
): Promise<Container> {
  const undo = new AsyncDisposableStack();
  try {
    return await build(host, request, sandbox, undo);
  } catch (error) {
    await undo.disposeAsync().catch((undoing: unknown) => {
      host.log.error('container half made', { container: request.id, error: undoing });
    });
    throw error;
  }
}

async function build(
  host: ContainerHost,
  {
    id,
    spec: asked,
    storages: wanted,
    devices: wantedDevices = [],
    copiedMounts = [],
    labels = {},
    owner = '',
    more,
    ...streams
  }: CreateContainerRequest,
  sandbox: SandboxView,
  undo: AsyncDisposableStack,
): Promise<Container> {
  const bundle = bundleOf(host.bundleDir, id);
  const copied = checkCopiedMounts(copiedMounts);
  // Before all else that has an effect, as in Kata (kata-agent.md §3.3).
  const devices = await host.devices.find(wantedDevices);
  undo.defer(() => devices.undo());
  const spec = prepareSpec(inGuestNumbers(asked, devices), {
    ...sandbox,
    containerId: id,
    bundleRootfs: bundle.rootfs,
    onDropped: (field, reason) => host.log.debug('setting dropped', { container: id, field, reason }),
  });

  const cgroup = openCgroup(spec.linux.cgroupsPath ?? `/${id}`);
  const record = recordContainer(host.state, {
    id,
    phase: 'making',
    labels,
    owner,
    cgroupPath: cgroup.path,
    createdAt: Date.now(),
    storages: [],
    guestAddresses: [...devices.guestAddresses],
    oomKills: 0,
    more,
  });
  undo.defer(() => record.drop());
  faultPoint('create:recorded');
  undo.defer(() => removeTree(host.door, bundle.directory));
  const storages = await host.storages.add(wanted, { containerId: id });
  undo.defer(() => host.storages.release(storages));
  faultPoint('create:storages');
  const unmountRootfs = await mountRootfs(host.door, bundle, asked.root.path);
  await checkMountSources(spec.mounts, host.bundleDir, sandbox.privatePaths);
  const mounts = inheritOptions(spec.mounts, await readMounts());
  await writeBundleFile(bundle, 'config.json', stringifySpec({ ...spec, mounts }));

  faultPoint('create:bundle');
  undo.defer(() => cgroup.remove(sandbox.cgroupParent ?? DEFAULT_CGROUP_PARENT));
  undo.defer(() => host.crun.delete(id));
  const init = await launch(host, { containerId: id, execId: id, process: spec.process, ...streams }, (stdio) =>
    host.crun.create(id, bundle.directory, stdio),
  );
  undo.defer(() => init.close());
  faultPoint('create:launched');
  await unmountRootfs();
  await copyMounts(copied, init, { find: sandbox.initOf });
  const oom = await watchOom(cgroup.directory, tellOom(record, sandbox));
  record.update({ phase: 'made', storages: storages.mountPoints });
  faultPoint('create:made');

  host.log.info('container created', { container: id, pid: init.identity.pid });
  host.tell({ kind: 'container.created', containerId: id, fields: { pid: `${init.identity.pid}` } });
  const { guestAddresses } = devices;
  return new Container(host, { record, spec, bundle, cgroup, init, storages, guestAddresses, oom }, host.log);
}

/** Each kill once, whichever agent sees it. */
export function tellOom(record: ContainerRecord, { onOom }: Pick<SandboxView, 'onOom'>): (kills: number) => void {
  return (kills) => {
    record.update({ oomKills: record.facts.oomKills + kills });
    for (let kill = 0; kill < kills; kill++) onOom(record.facts.id);
  };
}
