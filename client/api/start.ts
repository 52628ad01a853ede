// What a program is asked to be, and what comes of it when it cannot be started.
import type { berth } from '#proto/berth.js';
import { berth as messages } from '#proto/berth.js';
import { AgentError, isAgentError } from '../../agent/errors.ts';
import type { Feature } from './unsupported.ts';

const { Delivery } = messages.v1;

/** Of one output stream. */
export interface OutputOptions {
  /**
   * `lossless`, the default: the process waits when nobody reads. `latest`: it never waits, and the oldest bytes go.
   * `discard`: nothing is kept.
   */
  readonly delivery?: 'lossless' | 'latest' | 'discard';
  /** Bytes the guest holds, 4 KiB to 1 MiB. Default 256 KiB. */
  readonly limitBytes?: number;
  /** Bytes kept after they were read, for readers that come later. Default 64 KiB. */
  readonly historyBytes?: number;
}

/** How long a process lives when this program is gone. */
export type Lifetime = 'keep' | 'connection' | { readonly leaseMs: number };

/** How a program is run; what is left out is as the container's init process has it, or root in `/` in the guest. */
export interface ProgramOptions {
  /** `KEY=value`, or an object. */
  readonly env?: readonly string[] | Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: { readonly uid: number; readonly gid: number; readonly additionalGids?: readonly number[] };
  /** A terminal, of this size where one is given. */
  readonly terminal?: boolean | { readonly rows: number; readonly columns: number };
  readonly capabilities?: readonly string[];
  readonly noNewPrivileges?: boolean;
}

/** How a process is started, kept and ended. */
export interface StartOptions extends ProgramOptions {
  /** Default: made by the agent. */
  readonly id?: string;
  /** Two starts with one key are one start. Default: a new one, so that a start whose answer is lost is not made twice. */
  readonly key?: string;
  /** Whether it has a standard input. Default false: it reads /dev/null. */
  readonly stdin?: boolean;
  readonly stdout?: OutputOptions;
  readonly stderr?: OutputOptions;
  /** Default `connection`: it is ended, with everything it has started, when this program has gone. */
  readonly lifetime?: Lifetime;
  /** It is ended with everything it has started after this long. */
  readonly timeoutMs?: number;
  /** Between SIGTERM and SIGKILL when it is ended by time-out, lease or connection. Default 2000. */
  readonly graceMs?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** End of output is told at the latest this long after the exit, though something left behind still holds it. */
  readonly drainMs?: number;
  readonly signal?: AbortSignal;
  /** What an abort of `signal` does in the guest. Default `kill`: everything it has started too. */
  readonly onAbort?: 'kill' | 'terminate' | 'detach';
}

const DELIVERIES = {
  lossless: Delivery.DELIVERY_LOSSLESS,
  latest: Delivery.DELIVERY_LATEST,
  discard: Delivery.DELIVERY_DISCARD,
} as const;

export function startRequest(
  containerId: string,
  args: readonly string[],
  options: StartOptions & { key: string },
): berth.v1.StartRequest.$Properties {
  return {
    containerId,
    processId: options.id ?? '',
    program: program(args, options),
    key: options.key,
    stdin: options.stdin ?? false,
    stdout: outputOptions(options.stdout),
    stderr: outputOptions(options.stderr),
    lifetime: lifetimeMessage(options.lifetime ?? 'connection'),
    timeoutMs: BigInt(options.timeoutMs ?? 0),
    ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
    labels: { ...options.labels },
  };
}

/** What the agent must have, beside the call itself, to do as asked: an older one would take no notice. */
export function neededFor({ key, lifetime = 'connection' }: Pick<StartOptions, 'key' | 'lifetime'>): Feature[] {
  return [...(key === undefined ? [] : (['keys'] as const)), ...(lifetime === 'keep' ? [] : (['leases'] as const))];
}

function program(args: readonly string[], options: ProgramOptions): berth.v1.Program.$Properties {
  const { env = [], cwd = '', user, terminal = false, capabilities, noNewPrivileges = false } = options;
  return {
    args: [...args],
    env: isList(env) ? [...env] : Object.entries(env).map(([name, value]) => `${name}=${value}`),
    cwd,
    ...(user === undefined ? {} : { user: { ...user, additionalGids: [...(user.additionalGids ?? [])] } }),
    terminal: terminal !== false,
    ...(typeof terminal === 'object' ? { size: terminal } : {}),
    ...(capabilities === undefined ? {} : { capabilities: { names: [...capabilities] } }),
    noNewPrivileges,
  };
}

export function outputOptions(options: OutputOptions = {}): berth.v1.OutputOptions.$Properties {
  return {
    delivery: DELIVERIES[options.delivery ?? 'lossless'],
    limitBytes: options.limitBytes ?? 0,
    ...(options.historyBytes === undefined ? {} : { historyBytes: options.historyBytes }),
  };
}

export function lifetimeMessage(lifetime: Lifetime): berth.v1.Lifetime.$Properties {
  if (lifetime === 'keep') return { keep: true };
  if (lifetime === 'connection') return { connection: true };
  return { leaseMs: lifetime.leaseMs };
}

function isList(env: readonly string[] | Readonly<Record<string, string>>): env is readonly string[] {
  return Array.isArray(env);
}

/** At what a start failed. */
export type StartStage = 'program' | 'directory' | 'user' | 'resources' | 'runtime';

/** A program that could not be started: at what, and what the system said. */
export class StartError extends AgentError {
  readonly stage: StartStage;
  /** `ENOENT` and the like; empty when there is none. */
  readonly errno: string;

  /** @internal */
  constructor(cause: AgentError, stage: StartStage, errno: string) {
    super(cause.code, cause.message, { cause, fields: { ...cause.fields, stage, errno } });
    this.stage = stage;
    this.errno = errno;
  }
}

const STAGES: readonly string[] = ['program', 'directory', 'user', 'resources', 'runtime'] satisfies StartStage[];

/** The typed failure of a start, where the agent told one. */
export function asStartError(error: unknown): unknown {
  const told = isAgentError(error) ? error.fields['berth-start-failure'] : undefined;
  if (typeof told !== 'string') return error;
  try {
    const { stage, errnoName } = JSON.parse(told) as { stage?: unknown; errnoName?: unknown };
    const name = String(stage)
      .toLowerCase()
      .replace(/^stage_/, '');
    if (STAGES.includes(name)) return new StartError(error as AgentError, name as StartStage, String(errnoName ?? ''));
  } catch {
    // Not what we know: the error itself says enough.
  }
  return error;
}
