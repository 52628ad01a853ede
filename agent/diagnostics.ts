// What a host may ask for to look inside: the log's port, the debug console, the export of traces. Each part is loaded only when it is
// asked for, and one that can't be opened is told in the log and does not keep the agent from serving.
import { native, VMADDR_CID_ANY, VMADDR_CID_HOST } from '../native/index.ts';
import type { Config } from './config/config.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Logger } from './log.ts';
import type { LogPort } from './log-port.ts';
import type { AgentLog } from './log-winston.ts';
import type { CallObserver } from './rpc/service.ts';
import type { Connection } from './transport/connection.ts';
import { dial } from './transport/dial.ts';
import { listen } from './transport/listen.ts';
import { socketFromFd } from './transport/pipe-handle.ts';

/** Where the host's trace forwarder listens (kata-agent.md §1.6). */
const TRACE_PORT = 10_240;
/** What the spans that wait may take when the agent stops. */
const TRACE_FLUSH_MS = 1_000;
const CONSOLE_CLOSE_MS = 5_000;

export interface DiagnosticsParts {
  readonly config: Config;
  readonly lifecycle: Lifecycle;
  readonly log: AgentLog;
  /** Makes the line that tells of dropped ones. */
  readonly lostLine: (count: number) => string;
}

export interface Diagnostics {
  readonly onCall: CallObserver | undefined;
  /** Opens the ports; call it once the agent listens. Never rejects. */
  listen(): Promise<void>;
}

export async function openDiagnostics(parts: DiagnosticsParts): Promise<Diagnostics> {
  const { config } = parts;
  const logPort = config.logVport > 0 ? await openLogPort(parts) : undefined;
  const onCall = config.tracing ? await startTracer(parts) : undefined;
  return {
    onCall,
    async listen() {
      const { logger } = parts.log;
      if (logPort) await unlessRefused('log port', logger, () => listenForReaders(parts, logPort));
      if (config.debugConsole) await unlessRefused('debug console', logger, () => startConsole(parts));
    },
  };
}

/** Lines are kept for the port's first reader from here on. */
async function openLogPort({ log, lostLine }: DiagnosticsParts): Promise<LogPort> {
  const { createLogPort } = await import('./log-port.ts');
  const port = createLogPort(lostLine);
  log.copyTo(port);
  return port;
}

async function listenForReaders(parts: DiagnosticsParts, port: LogPort): Promise<void> {
  await listenOn(parts, 'log port', parts.config.logVport, ({ socket }) => port.accept(socket));
  // Kata's hosts read the machine's console as well: what is on the port need not be there twice, but the worst must not be missed.
  parts.log.limitFirstSink('error');
}

async function startConsole(parts: DiagnosticsParts): Promise<void> {
  const { config, lifecycle, log } = parts;
  const logger = log.logger.child({ subsystem: 'debug-console' });
  if (config.debugConsoleVport <= 0) {
    const { runSerialConsole } = await import('./console/serial-console.ts');
    const ended = runSerialConsole(logger, lifecycle.stopping);
    lifecycle.onStop('debug console', () => ended, CONSOLE_CLOSE_MS);
    return;
  }
  const { DebugConsole } = await import('./console/debug-console.ts');
  const console = new DebugConsole({ door: native(), socketFromFd, log: logger });
  lifecycle.onStop('debug console', () => console.close(), CONSOLE_CLOSE_MS);
  await listenOn(parts, 'debug console port', config.debugConsoleVport, ({ socket, peer }) => console.accept(socket, peer));
}

async function startTracer({ lifecycle, log }: DiagnosticsParts): Promise<CallObserver> {
  const [{ SpanExporter }, { createTracer }] = await Promise.all([
    import('./trace/span-exporter.ts'),
    import('./trace/tracer.ts'),
  ]);
  const exporter = new SpanExporter({
    connect: () => dial({ kind: 'vsock', cid: VMADDR_CID_HOST, port: TRACE_PORT }),
    log: log.logger.child({ subsystem: 'trace' }),
  });
  lifecycle.onStop('trace export', () => exporter.close(TRACE_FLUSH_MS), 2 * TRACE_FLUSH_MS);
  return createTracer((span) => exporter.export(span));
}

/** Only the host gets in, whatever `berth.allow_cid` says: what is offered here is a root shell and everybody's log. */
async function listenOn(
  { lifecycle, log }: DiagnosticsParts,
  name: string,
  port: number,
  onConnection: (connection: Connection) => void,
): Promise<void> {
  const listener = await listen({ kind: 'vsock', cid: VMADDR_CID_ANY, port }, { allowedCid: VMADDR_CID_HOST }, onConnection);
  lifecycle.onStop(name, () => listener.close());
  log.logger.info(`${name} open`, { port });
}

async function unlessRefused(part: string, log: Logger, open: () => Promise<void>): Promise<void> {
  try {
    await open();
  } catch (error) {
    log.error('diagnostics not available', { part, error });
  }
}
