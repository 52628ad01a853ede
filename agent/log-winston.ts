// The Logger of the agent. Lines are made here and winston carries them to where they go. winston takes its time to load, so
// it is loaded once the agent listens; until then lines go the short way to the same bounded sink.
import type { Logger as Winston } from 'winston';
import type { LogFields, Logger, LogThreshold } from './log.ts';
import { formatLine, type LineOrigin } from './log-line.ts';
import type { LineSink } from './log-sink.ts';

export interface AgentLog {
  readonly logger: Logger;
  /** The last word before the agent ends itself; written at every threshold. */
  critical(message: string, fields?: LogFields): void;
  setThreshold(threshold: LogThreshold): void;
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
  const { origin, sink } = options;
  let threshold = RANK[options.threshold];
  let starting: Promise<void> | undefined;
  let closed = false;
  let carry: (line: Line) => void = (line) => sink.write(line.line);

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

  return {
    logger: createLogger({}),
    critical: (message, fields) => emit('critical', message, {}, fields),
    setThreshold(next) {
      threshold = RANK[next];
    },
    start() {
      starting ??= openWinston(sink).then(
        (winston) => {
          if (!closed) carry = (line) => void winston.log(line);
        },
        (error) => emit('error', 'winston could not be loaded', {}, { error }),
      );
      return starting;
    },
    async flush(timeoutMs) {
      await sink.drain(timeoutMs);
    },
    async close(timeoutMs) {
      await sink.drain(timeoutMs);
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

/** Where winston's transports look for the finished text. */
const MESSAGE = Symbol.for('message');

// winston runs its transports within the call to log(), so nothing waits in its streams: the sink holds the only queue.
async function openWinston(sink: LineSink): Promise<Winston> {
  const [{ default: winston }, { Writable }] = await Promise.all([import('winston'), import('node:stream')]);
  const stream = new Writable({
    decodeStrings: false,
    write(line, _encoding, done) {
      sink.write(line);
      done();
    },
  });
  // Thresholds are checked above, before a line costs anything.
  const logger = winston.createLogger({
    levels: { ...RANK },
    level: 'trace',
    format: winston.format((info) => Object.assign(info, { [MESSAGE]: info['line'] }))(),
    transports: [new winston.transports.Stream({ stream, eol: '' })],
    exitOnError: false,
  });
  logger.on('error', (error) => sink.write(`{"msg":"winston failed","level":"ERRO","error":${JSON.stringify(String(error))}}`));
  return logger;
}
