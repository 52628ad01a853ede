// Builds the agent's parts from its configuration and starts them: keeper, containers, APIs, listener.
import { mkdir } from 'node:fs/promises';
import { uptime } from 'node:os';
import { native } from '../native/index.ts';
import { openGuard } from './api/admission/open-guard.ts';
import { BERTH_UNARY } from './api/berth/unary-names.ts';
import { kataHealthMethods } from './api/health/kata.ts';
import { agentServiceMethods } from './api/kata/agent-service.ts';
import type { Config } from './config/config.ts';
import { Crun } from './container/crun.ts';
import { readCrunFeatures, readCrunVersion } from './container/crun-features.ts';
import { DeviceTable } from './container/device/device-table.ts';
import { SHARED_DIR, SharedMounts } from './container/storage/shared-mounts.ts';
import { STORAGE_DRIVERS } from './container/storage/storage-drivers.ts';
import { StorageTable } from './container/storage/storage-table.ts';
import { VolumeStatsReader } from './container/storage/volume-stats.ts';
import { AgentError } from './errors.ts';
import { type AgentFacts, readGuestDetails, type WantedDetails } from './guest/details.ts';
import type { DeviceHost } from './guest/devices/wait-for-device.ts';
import { FileCopier } from './guest/files/file-copier.ts';
import { TemporaryNames } from './guest/files/temporary-name.ts';
import { GuestMetrics } from './guest/metrics/metrics.ts';
import { Network } from './guest/network/network.ts';
import { needsNoPivot, readRootFsType } from './guest/root-fs.ts';
import { IdleTrim } from './guest/trim.ts';
import { Uevents } from './guest/uevents/uevents.ts';
import { Journal, type StateStore } from './keeper/journal.ts';
import { connectKeeper, type Keeper } from './keeper/keeper.ts';
import { RecordRing } from './keeper/record-ring.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Logger } from './log.ts';
import { Budget, TOTAL_LIMIT_BYTES } from './process/stream/budget.ts';
import { Scheduler } from './process/stream/scheduler.ts';
import type { Earlier, Takeover } from './recovery.ts';
import { lazyMethods } from './rpc/lazy-methods.ts';
import { serve } from './rpc/server.ts';
import { type CallObserver, type Method, methodTable } from './rpc/service.ts';
import { Clients } from './sandbox/clients.ts';
import { SYSTEM_CLOCK } from './sandbox/clock.ts';
import { EventLog } from './sandbox/event-log.ts';
import type { GuestHost } from './sandbox/guest-host.ts';
import { Sandbox } from './sandbox/sandbox.ts';
import { chooseEndpoints } from './transport/choose.ts';
import { formatEndpoint } from './transport/endpoint.ts';
import { listen } from './transport/listen.ts';
import { AGENT_COMMIT, AGENT_VERSION, KATA_VERSION } from './version.ts';

/** For the last answer and the last lines of the log. */
const HAND_OVER_MS = 100;
/** What running calls may take when the agent stops. */
const GRACE_MS = 2_000;

export interface AgentParts {
  config: Config;
  lifecycle: Lifecycle;
  log: Logger;
  /** Told of each call that has ended. */
  onCall?: CallObserver | undefined;
}

/** Resolves when the agent listens. */
export async function startAgent({ config, lifecycle, log, onCall }: AgentParts): Promise<void> {
  const keeper = await lifecycle.start(
    'keeper',
    () => openKeeper(log),
    (opened) => opened.close(),
  );
  const devices: DeviceHost = {
    uevents: new Uevents(native),
    hotplugTimeoutMs: config.hotplugTimeoutMs,
    sysDir: '/sys',
    devDir: '/dev',
  };
  const earlier = keeper.generation > 1 ? await (await import('./recovery.ts')).readEarlier(config.stateDir) : undefined;
  const state = await lifecycle.start(
    'journal',
    () => new Journal(config.stateDir, { from: earlier?.journal }),
    (journal) => journal.close(),
  );
  const built = await buildSandbox({ config, keeper, devices, state, earlier, log });
  const { sandbox, storages, guest, guestProcesses, logBudget } = built;
  const trim = await lifecycle.start(
    'idle trim',
    () => new IdleTrim(),
    (started) => started.close(),
  );

  const guestDetails = (wanted: WantedDetails) =>
    agentFacts(config.crunPath, storages).then((facts) => readGuestDetails(wanted, facts));
  const network = new Network({
    log: log.child({ subsystem: 'network' }),
    waitForLink: async (pciPath) => (await import('./guest/devices/net-device.ts')).waitForNetDevice(pciPath, devices),
  });
  const turns = new Scheduler();
  const passfd = await startPassfd(config, lifecycle, log);
  const clients = new Clients(sandbox.events, SYSTEM_CLOCK, state);
  const runtimeVersion = async () => (await readCrunVersion(config.crunPath)).split('\n', 1)[0] ?? '';
  const berth = once(async (): Promise<Method[]> => {
    const { berthMethods } = await import('./api/berth/berth-methods.ts');
    const self = {
      generation: keeper.generation,
      runtimeVersion,
      ready: () => state.ready(),
      degraded: () => takeover?.degraded ?? '',
      bundle: async () => (await (await import('./guest/upgrade/origin.ts')).runningOrigin(config.stateDir))?.sha256 ?? '',
    };
    const door = native();
    const upgrade = {
      generation: keeper.generation,
      upgrader: once(async () => {
        const { Upgrader } = await import('./guest/upgrade/upgrader.ts');
        const { stateDir } = config;
        return new Upgrader({ stateDir, door, keeper, log, version: AGENT_VERSION, commit: AGENT_COMMIT });
      }),
      handOver: () => handOver(log),
    };
    const use = { connections: () => rpc.uses(), inFlight: (id: string) => turns.inFlight(id), logBytes: () => logBudget.held };
    return berthMethods({ sandbox, clients, self, use, turns, door, state, core: await core(), upgrade }).map(held);
  });
  const core = once(async () => {
    const { openCore } = await import('./sandbox/core.ts');
    return openCore({ sandbox, clients, guestProcesses, state, log: log.child({ subsystem: 'process' }) });
  });
  let takeover: Takeover | undefined;
  const { heldUntil } = earlier?.journal ? await import('./rpc/held-methods.ts') : { heldUntil: undefined };
  const held = (method: Method) => heldUntil?.(async () => await takeover?.known(), method) ?? method;
  const methods: Method[] = [
    ...kataHealthMethods,
    ...agentServiceMethods({ sandbox, network, guestDetails, guest, turns, passfd }).map(held),
    ...lazyMethods(BERTH_UNARY, berth),
  ];
  const loadGrpcMethods = async () => {
    const [{ grpcMethods }, loaded] = await Promise.all([import('./api/grpc-methods.ts'), berth()]);
    const streams = loaded.filter(({ kind }) => kind !== 'unary');
    return [...streams, ...grpcMethods([...methods, ...streams])];
  };
  const everyMethod = async () => [...methods, ...(await berth()), ...(await loadGrpcMethods())];
  const guard = await openGuard(config.berthPolicyFile, everyMethod, log.child({ subsystem: 'policy' }));
  const rpc = await lifecycle.start(
    'rpc',
    () =>
      serve(methodTable(methods), {
        log,
        guard,
        loadGrpcMethods,
        onDisconnect: ({ id }) => clients.disconnected(id),
        onCall: (call) => {
          trim.touch();
          onCall?.(call);
          if (call.error !== undefined)
            log.debug('call failed', { method: call.method, client: call.caller.id, error: call.error });
        },
      }),
    (server) => server.close(GRACE_MS),
    2 * GRACE_MS,
  );

  const endpoints = await chooseEndpoints(config, log);
  for (const endpoint of endpoints) {
    await lifecycle.start(
      `listener at ${formatEndpoint(endpoint)}`,
      () => listen(endpoint, { allowedCid: config.allowCid, log: log.child({ subsystem: 'serial' }) }, rpc.accept),
      (listener) => listener.close(),
    );
  }
  if (earlier?.journal !== undefined) {
    const { takeOver } = await import('./recovery.ts');
    const { host } = built;
    takeover = takeOver({ host, sandbox, clients, openCore: core, generation: keeper.generation, log }, earlier.journal);
  } else if (keeper.generation > 1) keeper.settle();
  if (process.env['BERTH_UPGRADE'] !== undefined) void tellUpgrade(sandbox, takeover);
  log.info('agent listening', {
    address: endpoints.map(formatEndpoint).join(', '),
    uptime_ms: Math.round(uptime() * 1000),
    init_uptime_ms: Number(process.env['BERTH_INIT_UPTIME_MS'] ?? 0),
    generation: keeper.generation,
  });
  void sandbox.destroyed.then(() => powerOff(lifecycle, keeper));
}

interface SandboxParts {
  readonly config: Config;
  readonly keeper: Keeper;
  readonly devices: DeviceHost;
  readonly state: StateStore;
  readonly earlier: Earlier | undefined;
  readonly log: Logger;
}

/** The result of the first call, for all; a failure is tried again. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

async function startPassfd(config: Config, lifecycle: Lifecycle, log: Logger) {
  const port = config.passfdListenerPort;
  if (port === 0) return undefined;
  const { listenPassfd } = await import('./transport/passfd.ts');
  return lifecycle.start(
    'passfd listener',
    () => listenPassfd(port, config.allowCid, log.child({ subsystem: 'passfd' })),
    (listener) => listener.close(),
  );
}

function openKeeper(log: Logger): Keeper {
  const fd = Number(process.env['BERTH_KEEPER_FD']);
  if (!Number.isInteger(fd) || fd < 3) {
    throw new AgentError('failed_precondition', 'BERTH_KEEPER_FD is not set: start the agent through `berth-init -- ...`');
  }
  return connectKeeper(fd, log.child({ subsystem: 'keeper' }));
}

async function buildSandbox({ config, keeper, devices, state, earlier, log }: SandboxParts) {
  const door = native();
  const crun = new Crun({ file: config.crunPath, runtimeDir: config.stateDir, noPivot: needsNoPivot(await readRootFsType()) });
  await mkdir(config.bundleDir, { recursive: true, mode: 0o711 });
  await crun.prepare();
  const storageHost = { door, bundleDir: config.bundleDir, log: log.child({ subsystem: 'storage' }), ...devices };
  const storages = new StorageTable(storageHost, STORAGE_DRIVERS, { state });
  const guest: GuestHost = {
    door,
    sharedMounts: new SharedMounts(),
    files: new FileCopier({ root: SHARED_DIR, door, names: new TemporaryNames(state) }),
    volumes: new VolumeStatsReader(),
    metrics: new GuestMetrics(),
    memoryResized: () => keeper.resized(),
    ...devices,
  };
  const streams = {
    keeper,
    state,
    logBudget: new Budget(TOTAL_LIMIT_BYTES),
    runtimeDir: config.stateDir,
    pipeSizeBytes: config.containerPipeSize,
  };
  const host = {
    ...streams,
    crun,
    door,
    storages,
    devices: new DeviceTable(devices),
    log: log.child({ subsystem: 'container' }),
    bundleDir: config.bundleDir,
    allowSpecHooks: config.specHooks,
  };
  const ring = new RecordRing(config.stateDir, 'events', { epoch: earlier?.eventsEpoch });
  const events = new EventLog({
    keep: (event) => ring.append({ kind: 'event', id: `${event.sequence}`, value: event }),
  });
  events.adopt(earlier?.events ?? []);
  const processLog = log.child({ subsystem: 'process' });
  return {
    host,
    sandbox: new Sandbox(host, events),
    storages,
    guest,
    logBudget: streams.logBudget,
    // berth-init is the agent's parent, wherever it lies.
    guestProcesses: {
      ...streams,
      launcher: `/proc/${process.ppid}/exe`,
      newPidFile: () => crun.newPidFile(),
      log: processLog,
    },
  };
}

async function agentFacts(crunPath: string, storages: StorageTable): Promise<AgentFacts> {
  const supportsSeccomp = (await readCrunFeatures(crunPath)).has('SECCOMP');
  return {
    version: KATA_VERSION,
    initDaemon: process.ppid === 1,
    deviceHandlers: [],
    storageHandlers: storages.driverNames,
    supportsSeccomp,
    extraFeatures: supportsSeccomp ? ['seccomp'] : [],
  };
}

/** An agent in place of another says so once it knows what there is. */
async function tellUpgrade(sandbox: Sandbox, takeover: Takeover | undefined): Promise<void> {
  const { upgradeEvent } = await import('./guest/upgrade/origin.ts');
  const event = await upgradeEvent(process.env['BERTH_UPGRADE']);
  await takeover?.known().catch(() => {});
  if (event !== undefined) sandbox.events.append(event);
}

/** As by a death, without one: what is in the journal is all that the next one needs, and calls in progress are cut off. */
function handOver(log: Logger): void {
  log.info('agent hands over to the next one');
  setTimeout(() => process.exit(0), HAND_OVER_MS);
}

/** DestroySandbox has been answered by the time the servers have drained; then the VM goes (kata-agent.md §1.1). */
async function powerOff(lifecycle: Lifecycle, keeper: Keeper): Promise<void> {
  keeper.powerOff();
  await lifecycle.stop('sandbox destroyed');
  process.exit(0);
}
