// The one direction of imports. A part may import itself and what it lists, nothing else of ours.
// Whoever wants a new arrow adds it here, where a reviewer sees it.

/** A part is a folder (ends in '/') or a file; the longest prefix that fits names the part of a path. */
export interface Part {
  readonly path: string;
  readonly mayImport: readonly string[];
  /** Importable from everywhere above without being listed, as types only. */
  readonly mayImportTypes?: readonly string[];
}

const ERRORS_AND_LOG = ['agent/errors.ts', 'agent/log.ts'];
const FAULTS = ['agent/fault-point.ts'];
const WAITING = ['agent/unless-aborted.ts'];
const CONFIG_TYPES = ['agent/config/'];
/** Dialling, framing, codes and limits are written once, so the client borrows them from the agent. */
const WIRE = [
  'agent/errors.ts',
  'agent/transport/',
  'agent/rpc/limits.ts',
  'agent/rpc/status.ts',
  'agent/rpc/ttrpc/frame.ts',
  'agent/rpc/ttrpc/envelope.ts',
];

export const PARTS: readonly Part[] = [
  { path: 'agent/errors.ts', mayImport: [] },
  { path: 'agent/log.ts', mayImport: [] },
  { path: 'agent/version.ts', mayImport: [] },
  { path: 'agent/fault-point.ts', mayImport: [] },
  { path: 'agent/unless-aborted.ts', mayImport: [] },
  { path: 'agent/log-line.ts', mayImport: ERRORS_AND_LOG },
  { path: 'agent/log-clock.ts', mayImport: [] },
  { path: 'agent/log-sink.ts', mayImport: ['agent/errors.ts'] },
  { path: 'agent/log-winston.ts', mayImport: ['agent/log.ts', 'agent/log-line.ts', 'agent/log-sink.ts'] },
  { path: 'agent/log-port.ts', mayImport: ['agent/log-sink.ts'] },
  { path: 'agent/lifecycle.ts', mayImport: ERRORS_AND_LOG },
  // The composition root knows them all: main reads the configuration, agent and diagnostics build the parts, warm-up loads them for the image build.
  { path: 'agent/main.ts', mayImport: ['agent/', 'native/index.ts'] },
  { path: 'agent/agent.ts', mayImport: ['agent/', 'native/index.ts'] },
  { path: 'agent/diagnostics.ts', mayImport: ['agent/', 'native/index.ts'] },
  { path: 'agent/recovery.ts', mayImport: ['agent/'] },
  { path: 'agent/warm-up.ts', mayImport: ['agent/'] },

  { path: 'agent/config/', mayImport: ERRORS_AND_LOG },
  { path: 'agent/transport/', mayImport: [...ERRORS_AND_LOG, 'native/index.ts'], mayImportTypes: CONFIG_TYPES },
  { path: 'agent/rpc/', mayImport: [...ERRORS_AND_LOG, ...WAITING, 'proto/int64.ts'], mayImportTypes: CONFIG_TYPES },
  // Where a connection meets its protocol: the one file of rpc that knows what a connection is.
  {
    path: 'agent/rpc/server.ts',
    mayImport: [...ERRORS_AND_LOG, 'agent/rpc/', 'agent/transport/'],
    mayImportTypes: CONFIG_TYPES,
  },
  // The core knows neither protocol nor transport, so a lower part never sees api, rpc or transport.
  // Reflection answers with gRPC's numbers inside its messages, and status.ts is their only home.
  {
    path: 'agent/api/reflection/',
    mayImport: [...ERRORS_AND_LOG, 'agent/rpc/service.ts', 'agent/rpc/status.ts'],
  },
  {
    path: 'agent/api/',
    mayImport: [
      ...ERRORS_AND_LOG,
      ...WAITING,
      'agent/version.ts',
      'agent/rpc/service.ts',
      'agent/sandbox/',
      'agent/container/',
      'agent/process/',
      'agent/guest/',
      'agent/policy/',
    ],
    mayImportTypes: CONFIG_TYPES,
  },
  // Pure: what a call asks for goes in, a decision comes out. It knows neither messages nor what exists in the guest.
  { path: 'agent/policy/', mayImport: ERRORS_AND_LOG },
  {
    path: 'agent/sandbox/',
    mayImport: [
      ...ERRORS_AND_LOG,
      ...FAULTS,
      ...WAITING,
      'agent/container/',
      'agent/process/',
      'agent/guest/',
      'agent/keeper/',
      'native/index.ts',
    ],
    mayImportTypes: CONFIG_TYPES,
  },
  {
    path: 'agent/container/',
    mayImport: [...ERRORS_AND_LOG, ...FAULTS, 'agent/process/', 'agent/guest/', 'agent/keeper/', 'native/index.ts'],
    mayImportTypes: CONFIG_TYPES,
  },
  {
    path: 'agent/guest/',
    mayImport: [...ERRORS_AND_LOG, ...FAULTS, ...WAITING, 'agent/process/', 'agent/keeper/', 'native/index.ts'],
    mayImportTypes: CONFIG_TYPES,
  },
  {
    path: 'agent/process/',
    mayImport: [...ERRORS_AND_LOG, ...WAITING, 'agent/keeper/', 'native/index.ts'],
    mayImportTypes: CONFIG_TYPES,
  },
  // The shell for people, and the spans for their tools: beside the core, which knows neither.
  {
    path: 'agent/console/',
    mayImport: [...ERRORS_AND_LOG, 'agent/container/cgroup.ts', 'agent/process/', 'native/index.ts'],
  },
  { path: 'agent/trace/', mayImport: ERRORS_AND_LOG },
  { path: 'agent/keeper/', mayImport: [...ERRORS_AND_LOG, 'native/index.ts'] },
  { path: 'native/', mayImport: [] },
  // Arithmetic of 64-bit fields; the generated messages call it as well.
  { path: 'proto/', mayImport: [] },
  // The client's two ways to speak, Kata's calls (kata/) and berth.v1 (api/), stand on channels that know neither.
  { path: 'client/rpc/', mayImport: WIRE },
  // Packing and unpacking trees is written once as well.
  { path: 'client/', mayImport: [...WIRE, ...WAITING, 'package.json', 'native/index.ts', 'agent/guest/files/'] },
  { path: 'scripts/', mayImport: ['agent/', 'client/', 'native/'] },
  { path: 'test/', mayImport: ['agent/', 'client/', 'native/', 'proto/', 'scripts/', 'test/'] },
];

/** Names from outside that only some parts may import. */
export const RESERVED_IMPORTS: ReadonlyArray<{ readonly what: RegExp; readonly only: readonly string[] }> = [
  { what: /^#proto\//, only: ['agent/api/', 'client/', 'scripts/', 'test/'] },
  { what: /^@grpc\//, only: ['agent/rpc/grpc/', 'client/rpc/', 'scripts/', 'test/'] },
  { what: /^winston/, only: ['agent/log-winston.ts', 'agent/warm-up.ts', 'scripts/', 'test/'] },
  { what: /^smol-toml/, only: ['agent/config/toml.ts', 'agent/policy/load.ts', 'scripts/', 'test/'] },
  { what: /^execa/, only: ['agent/process/tool.ts', 'agent/warm-up.ts', 'client/', 'scripts/', 'test/'] },
];
