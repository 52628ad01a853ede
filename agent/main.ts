// The composition root: the only place that knows every part. Reads the configuration, builds the parts, listens, and
// only then does what takes time.
import { readFile } from 'node:fs/promises';
import { type Invocation, parseArguments, USAGE, versionLine } from './config/arguments.ts';
import { type Config, changedInVain, describeConfig } from './config/config.ts';
import { loadConfig } from './config/load.ts';
import { describeError } from './errors.ts';
import { createLifecycle, EXIT_CRASHED, handleProcessEvents } from './lifecycle.ts';
import { createTimestamps } from './log-clock.ts';
import { formatLine, type LineOrigin } from './log-line.ts';
import { openSink } from './log-sink.ts';
import { type AgentLog, createAgentLog } from './log-winston.ts';
import { AGENT_COMMIT, AGENT_VERSION } from './version.ts';

/** What the log's last lines may take when the agent ends itself. */
const FLUSH_MS = 500;
/** comm and argv[0] as Kata's tools look for them (kata-agent.md §6.2). */
const PROCESS_NAME = 'kata-agent';
/** EX_USAGE (sysexits.h) */
const EXIT_USAGE = 64;

async function main(): Promise<void> {
  const invocation = readArguments();
  switch (invocation.action) {
    case 'version':
      return void process.stdout.write(`${versionLine(AGENT_VERSION, AGENT_COMMIT, ['seccomp'])}\n`);
    case 'help':
      return void process.stdout.write(USAGE);
    case 'warm-up':
      return (await import('./warm-up.ts')).warmUp();
    case 'run':
      return run(invocation);
  }
}

function readArguments(): Invocation {
  try {
    return parseArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${PROCESS_NAME}: ${describeError(error)}\n${USAGE}`);
    process.exit(EXIT_USAGE);
  }
}

async function run(invocation: { configFile?: string }): Promise<void> {
  process.title = PROCESS_NAME;
  const origin: LineOrigin = { version: AGENT_VERSION, pid: process.pid, now: createTimestamps() };
  const lostLine = (count: number) => formatLine(origin, 'warn', 'log lines lost', { count });
  const log = createAgentLog({ origin, sink: openSink(1, lostLine), threshold: 'info' });
  const lifecycle = createLifecycle(log.logger);
  handleProcessEvents(process, lifecycle, {
    exit: (code) => process.exit(code),
    critical: log.critical,
    flush: () => log.close(FLUSH_MS),
  });
  // Registered first, so it comes last: what the other parts say while they stop is written too.
  lifecycle.onStop('log', () => log.flush(FLUSH_MS));
  try {
    const { config, notes } = await loadConfig(invocation, process.env, (path) => readFile(path, 'utf8'));
    log.setThreshold(config.logLevel);
    // Loaded before the agent listens, so that no line and no call is missed, but only where it is asked for.
    const diagnostics = wantsDiagnostics(config) ? (await import('./diagnostics.ts')).openDiagnostics : undefined;
    const opened = await diagnostics?.({ config, lifecycle, log, lostLine });
    const { startAgent } = await import('./agent.ts');
    await startAgent({ config, lifecycle, log: log.logger, onCall: opened?.onCall });
    await announce(log);
    await opened?.listen();
    log.logger.info('configuration', describeConfig(config));
    for (const setting of changedInVain(config)) log.logger.warn('setting has no effect', setting);
    for (const note of notes) log.logger.warn('configuration value not kept', { ...note });
  } catch (error) {
    log.critical('agent could not start', { error });
    await log.close(FLUSH_MS);
    process.exit(EXIT_CRASHED);
  }
}

function wantsDiagnostics(config: Config): boolean {
  return config.logVport > 0 || config.debugConsole || config.tracing;
}

/** winston and what else is not needed for an answer comes after the listener. */
async function announce(log: AgentLog): Promise<void> {
  await log.start();
  log.logger.info('announce', { commit: AGENT_COMMIT, node: process.version, v8: process.versions.v8 });
}

await main();
