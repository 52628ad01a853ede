// What the rest of the agent knows of logging: an interface. winston stands behind it in
// log-winston.ts and is loaded only where a line is really written.

export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace';
/** Least level that is written; at `critical` only the line before the agent's end is. */
export type LogThreshold = 'critical' | LogLevel;

/**
 * Messages are constant lower-case phrases; values go into fields.
 * error = a human must look, warn = we coped, info = lifecycle, debug = each call, trace = each frame.
 */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  trace(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each line. */
  child(fields: LogFields): Logger;
  /** Guard for lines that are costly to build. */
  enabled(level: LogLevel): boolean;
}

/** Drops everything; for tests and for shutdown. */
export const silentLogger: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  trace() {},
  child: () => silentLogger,
  enabled: () => false,
};
