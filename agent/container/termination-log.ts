// The message that a container leaves for Kubernetes in a file of its choice (kata-agent.md §3.1, GetDiagnosticData).
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { TextDecoder } from 'node:util';
import { AgentError, fromErrno, isErrno } from '../errors.ts';
import { Lane } from '../guest/lane.ts';
import { withinMs } from './deadline.ts';
import type { RuntimeSpec } from './spec/types.ts';

/** Where the path in the container is written. */
const ANNOTATION = 'io.kubernetes.container.terminationMessagePath';
/** Kubernetes takes no more. */
const MAX_BYTES = 4096;
const TIMEOUT_MS = 5_000;
/** The file may be the host's, whose server may be stuck. */
const LANE = new Lane({ name: 'termination-logs', width: 1, maxWaiting: 512 });

/**
 * Its first 4096 bytes as text; empty when there is no file.
 * @throws failed_precondition when the container names no file, or one that is not mounted; deadline_exceeded
 */
export async function readTerminationLog(spec: Pick<RuntimeSpec, 'annotations' | 'mounts'>): Promise<string> {
  const source = findSource(spec);
  return await withinMs(
    TIMEOUT_MS,
    `read ${source}`,
    LANE.run(() => readStart(source)),
  );
}

function findSource({ annotations, mounts }: Pick<RuntimeSpec, 'annotations' | 'mounts'>): string {
  const path = annotations?.[ANNOTATION];
  if (path === undefined || path === '') throw missing(`the container has no annotation ${ANNOTATION}`);
  const source = mounts.findLast(({ destination }) => destination === path)?.source;
  if (source === undefined) throw missing(`no mount of the container is on ${path}`);
  return source;
}

async function readStart(path: string): Promise<string> {
  try {
    // The container has the file in its hands: a pipe must not hold us up, and a link must not lead us on.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    try {
      if (!(await file.stat()).isFile()) throw missing(`${path} is no file`);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
      return boundedText(buffer.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw fromErrno(error, `read the termination log ${path}`, { path });
  }
}

/** What is not UTF-8 becomes U+FFFD, which is longer than the byte it stands for. */
function boundedText(bytes: Uint8Array): string {
  const whole = Buffer.from(decoder().decode(bytes));
  // Streaming leaves out a character that the cut has divided.
  return decoder().decode(whole.subarray(0, MAX_BYTES), { stream: whole.length > MAX_BYTES });
}

function decoder(): TextDecoder {
  return new TextDecoder('utf-8', { ignoreBOM: true });
}

function missing(problem: string): AgentError {
  return new AgentError('failed_precondition', problem, { fields: { log: 'termination_log' } });
}
