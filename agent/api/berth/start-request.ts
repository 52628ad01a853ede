// berth.v1.StartRequest -> what the core starts.
import { berth } from '#proto/berth.js';
import type { OutputOptions } from '../../process/stdio.ts';
import type { Lifetime } from '../../sandbox/process-entry.ts';
import type { Program } from '../../sandbox/program.ts';
import type { StartRequest } from '../../sandbox/start-process.ts';
import { checkLabels } from './labels.ts';
import { refuse } from './process-ref.ts';

const { Delivery } = berth.v1;
const MAX_KEY_BYTES = 128;
const DEFAULT_GRACE_MS = 2_000;
const MAX_GRACE_MS = 600_000;
/** Bytes of one output's log. */
const LIMIT = { least: 4 * 1024, most: 1024 * 1024, usual: 256 * 1024 };
/** Acknowledged bytes that stay for later readers. */
const USUAL_HISTORY_BYTES = 64 * 1024;

/** @throws invalid_argument naming the field */
export function toStartRequest(request: berth.v1.StartRequest): StartRequest {
  const { program, graceMs, timeoutMs } = request;
  if (!program) refuse('program', 'is missing');
  return {
    containerId: request.containerId,
    processId: request.processId,
    program: toProgram(program),
    key: checkKey(request.key),
    output: toOutput(request),
    stdin: request.stdin,
    lifetime: toLifetime(request.lifetime),
    timeoutMs: timeoutMs > BigInt(Number.MAX_SAFE_INTEGER) ? refuse('timeout_ms', 'is too large') : Number(timeoutMs),
    graceMs: checkGrace(graceMs ?? DEFAULT_GRACE_MS),
    labels: checkLabels(request.labels),
    forgetWhenDone: request.forgetWhenDone,
  };
}

/** @throws invalid_argument */
export function checkGrace(graceMs: number): number {
  return graceMs <= MAX_GRACE_MS ? graceMs : refuse('grace_ms', `is above ${MAX_GRACE_MS}`);
}

function toProgram(program: berth.v1.Program.$Properties): Program {
  const { user, size, capabilities, rlimits } = program;
  return {
    args: program.args ?? [],
    env: program.env ?? [],
    cwd: program.cwd ?? '',
    user: user
      ? { uid: user.uid ?? 0, gid: user.gid ?? 0, additionalGids: user.additionalGids ?? [], umask: user.umask ?? undefined }
      : undefined,
    terminal: program.terminal ?? false,
    size: size ? { rows: size.rows ?? 0, columns: size.columns ?? 0 } : undefined,
    capabilities: capabilities ? (capabilities.names ?? []) : undefined,
    rlimits: (rlimits ?? []).map(({ type, soft, hard }) => ({ type: type ?? '', soft: soft ?? 0n, hard: hard ?? 0n })),
    noNewPrivileges: program.noNewPrivileges ?? false,
    oomScoreAdj: program.oomScoreAdj ?? undefined,
  };
}

/** Of whatever can be asked to keep output. @throws invalid_argument */
export function toOutput({ stdout, stderr }: Pick<berth.v1.StartRequest.$Properties, 'stdout' | 'stderr'>): OutputOptions {
  return { stdout: toRetention(stdout, 'stdout'), stderr: toRetention(stderr, 'stderr'), drainMs: undefined };
}

function toRetention(options: berth.v1.OutputOptions.$Properties | null | undefined, field: string): OutputOptions['stdout'] {
  const limit = options?.limitBytes || LIMIT.usual;
  if (limit < LIMIT.least || limit > LIMIT.most) refuse(`${field}.limit_bytes`, `is not from ${LIMIT.least} to ${LIMIT.most}`);
  const history = options?.historyBytes ?? Math.min(USUAL_HISTORY_BYTES, limit);
  if (history > limit) refuse(`${field}.history_bytes`, `is above limit_bytes, ${limit}`);
  const delivery = options?.delivery ?? Delivery.DELIVERY_UNSPECIFIED;
  const mode = delivery === Delivery.DELIVERY_LATEST ? 'latest' : delivery === Delivery.DELIVERY_DISCARD ? 'discard' : 'lossless';
  return { mode, limit, history };
}

/** @throws invalid_argument */
export function toLifetime(lifetime: berth.v1.Lifetime.$Properties | null | undefined): Lifetime {
  if (lifetime?.leaseMs != null) {
    return lifetime.leaseMs > 0 ? { kind: 'lease', ttlMs: lifetime.leaseMs } : refuse('lifetime.lease_ms', 'must be above 0');
  }
  return lifetime?.connection ? { kind: 'connection' } : { kind: 'keep' };
}

/** @throws invalid_argument */
export function checkKey(key: string): string {
  return Buffer.byteLength(key) <= MAX_KEY_BYTES ? key : refuse('key', `is longer than ${MAX_KEY_BYTES} bytes`);
}
