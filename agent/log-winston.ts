// The Logger of the agent. Lines are made here and winston carries them to where they go. winston takes its time to load, so
// it is loaded once the agent listens; until then lines go the short way to the same bounded sink.
import type { LoggerOptions, Logger as Winston } from 'winston';
import type { LogFields, Logger, LogThreshold } from './log.ts';
import { formatLine, type LineOrigin } from './log-line.ts';
import type { LineSink } from './log-sink.ts';

export interface AgentLog {
  readonly logger: Logger;
  /** The last word before the agent ends itself; written at every threshold. */
  critical(message: string, fields?: LogFields): void;
  setThreshold(threshold: LogThreshold): void;
  /** Gives every line from here on to `sink` too; at most one such sink. */
  copyTo(sink: LineSink): void;
  /** Keeps from the first sink the lines that are less than `threshold`; for when the second one is open. */
  limitFirstSink(threshold: LogThreshold): void;
  /**
   * Loads winston and lets it carry the lines from then on. Call it once the agent listens; a second call does nothing.
   * Never rejects: without winston lines keep going the short way.
   */
  start(): Promise<void>;
  /** Waits at most `timeoutMs` until the lines so far are written. */
  flush(timeoutMs: number): Promise<void>;
  /** The same, and drops later lines. */
  close(timeoutMs: number): Promise<void>;
}

export interface AgentLogOptions {
  readonly origin: LineOrigin;
  readonly sink: LineSink;
  readonly threshold: LogThreshold;
}

export function createAgentLog(options: AgentLogOptions): AgentLog {
  const { origin } = options;
  let threshold = RANK[options.threshold];
  let starting: Promise<void> | undefined;
  let closed = false;
  let second: LineSink | undefined;
  let firstLeast = RANK.trace;
  const deliver = ({ level, line }: Line): void => {
    if (RANK[level] <= firstLeast) options.sink.write(line);
    second?.write(line);
  };
  let carry = deliver;

  const emit = (level: LogThreshold, message: string, bound: LogFields, fields: LogFields | undefined): void => {
    const all = fields ? { ...bound, ...fields } : bound;
    carry({ level, message, line: formatLine(origin, level, message, all) });
  };

  const createLogger = (bound: LogFields): Logger => {
    const writer = (level: keyof typeof RANK) => (message: string, fields?: LogFields) => {
      if (RANK[level] <= threshold) emit(level, message, bound, fields);
    };
    return {
      error: writer('error'),
      warn: writer('warn'),
      info: writer('info'),
      debug: writer('debug'),
      trace: writer('trace'),
      child: (fields) => createLogger({ ...bound, ...fields }),
      enabled: (level) => RANK[level] <= threshold,
    };
  };

  const drain = async (timeoutMs: number): Promise<void> => {
    await Promise.all([options.sink.drain(timeoutMs), second?.drain(timeoutMs)]);
  };

  return {
    logger: createLogger({}),
    critical: (message, fields) => emit('critical', message, {}, fields),
    setThreshold(next) {
      threshold = RANK[next];
    },
    copyTo(sink) {
      second = sink;
    },
    limitFirstSink(least) {
      firstLeast = RANK[least];
    },
    start() {
      starting ??= openWinston(deliver).then(
        (winston) => {
          if (!closed) carry = (line) => void winston.log(line);
        },
        (error) => emit('error', 'winston could not be loaded', {}, { error }),
      );
      return starting;
    },
    flush: drain,
    async close(timeoutMs) {
      await drain(timeoutMs);
      closed = true;
      carry = () => {};
    },
  };
}

const RANK: Readonly<Record<LogThreshold, number>> = { critical: 0, error: 1, warn: 2, info: 3, debug: 4, trace: 5 };

/** What winston carries; `line` is the finished text. */
interface Line {
  readonly level: LogThreshold;
  readonly message: string;
  readonly line: string;
}

/** winston's type declarations leave it out. */
type TransportClass = new (options: { log(line: Line, next: () => void): void }) => NonNullable<LoggerOptions['transports']>;

// winston runs its transports within the call to log(), so nothing waits in its streams: the sinks hold the only queues.
async function openWinston(deliver: (line: Line) => void): Promise<Winston> {
  const { default: winston } = await import('winston');
  const { Transport } = winston as unknown as { Transport: TransportClass };
  const transport = new Transport({
    log(line: Line, next: () => void) {
      deliver(line);
      next();
    },
  });
  // Thresholds are checked above, before a line costs anything.
  const logger = winston.createLogger({ levels: { ...RANK }, level: 'trace', transports: transport, exitOnError: false });
  logger.on('error', (error) => {
    const line = `{"msg":"winston failed","level":"ERRO","error":${JSON.stringify(String(error))}}`;
    deliver({ level: 'error', message: 'winston failed', line });
  });
  return logger;
}
