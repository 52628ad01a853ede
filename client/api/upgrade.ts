// A new agent sent to a guest, and waited for until it is at work in place of the one before.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { berth } from '#proto/berth.js';
import { AgentError, fromErrno, hasCode } from '../../agent/errors.ts';
import { END_BYTES, paddingOf } from '../../agent/guest/files/tar/entry.ts';
import { tarHeader } from '../../agent/guest/files/tar/write-header.ts';
import type { Link } from './link.ts';
import { AGENT } from './methods.ts';

/** How an upgrade is made. */
export interface UpgradeOptions {
  /** How long the new agent, or the image's after it, may take to answer, ms. Default 180 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** One agent of a guest. */
export interface AgentGeneration {
  readonly version: string;
  readonly commit: string;
  /** 1 for the first since the boot. */
  readonly generation: number;
}

/** What has come of an upgrade. */
export interface Upgraded {
  readonly from: AgentGeneration;
  readonly to: AgentGeneration;
  /** From the last answer of the one to the first of the other, ms. */
  readonly silentMs: number;
}

const CHUNK_BYTES = 128 * 1024;
const TIMEOUT_MS = 180_000;
const ASK_EACH_MS = 20;

export async function upgradeAgent(link: Link, directory: string, options: UpgradeOptions = {}): Promise<Upgraded> {
  const { timeoutMs = TIMEOUT_MS, signal } = options;
  link.need('upgrade');
  const archive = await packBundle(directory);
  const sha256 = createHash('sha256').update(archive).digest();
  const before = await ask(link, signal);
  let answeredAt = performance.now();
  try {
    await send(link, archive, sha256, signal);
    answeredAt = performance.now();
  } catch (error) {
    // The answer may have been lost with the agent that gave it; the next one tells.
    if (!hasCode(error, 'unavailable')) throw error;
  }
  const deadline = answeredAt + timeoutMs;
  for (;;) {
    const after = await ask(link, signal);
    const now = performance.now();
    if (after.generation > before.generation) {
      checkRuns(after, sha256.toString('hex'));
      return { from: generationOf(before), to: generationOf(after), silentMs: now - answeredAt };
    }
    answeredAt = now;
    if (now > deadline) throw new AgentError('deadline_exceeded', `the agent has not been replaced within ${timeoutMs} ms`);
    await sleep(ASK_EACH_MS, undefined, signal === undefined ? {} : { signal });
  }
}

/** main.js, package.json and chunks/ of a directory, as a tar archive. @throws AgentError not_found */
export async function packBundle(directory: string): Promise<Buffer> {
  try {
    const chunks = await readdir(join(directory, 'chunks')).catch(() => []);
    const names = ['main.js', 'package.json', ...chunks.filter((name) => name.endsWith('.js')).map((name) => `chunks/${name}`)];
    const members = await Promise.all(names.map(async (name) => member(name, await readFile(join(directory, name)))));
    return Buffer.concat([...members.flat(), Buffer.alloc(END_BYTES)]);
  } catch (error) {
    throw fromErrno(error, `read the agent in ${directory}`, { path: directory });
  }
}

function member(name: string, content: Buffer): Buffer[] {
  const entry = { name: Buffer.from(name), type: 'file', size: content.length, linkName: Buffer.alloc(0) } as const;
  return [tarHeader({ ...entry, mode: 0o644, uid: 0, gid: 0, modified: 0 }), content, Buffer.alloc(paddingOf(content.length))];
}

async function send(link: Link, archive: Buffer, sha256: Buffer, signal?: AbortSignal): Promise<void> {
  const stream = await link.stream(AGENT.upgrade, signal === undefined ? {} : { signal });
  const answer = (async () => {
    let told = false;
    for await (const _ of stream) told = true;
    if (!told) throw new AgentError('internal', 'the agent has ended the call without an answer');
  })();
  // A refusal is told by the sending as well.
  answer.catch(() => {});
  try {
    await stream.send({ begin: { size: BigInt(archive.length), sha256 } });
    for (let at = 0; at < archive.length; at += CHUNK_BYTES) await stream.send({ data: archive.subarray(at, at + CHUNK_BYTES) });
    stream.end();
    await answer;
  } catch (error) {
    stream.cancel();
    throw error;
  }
}

function ask(link: Link, signal?: AbortSignal): Promise<berth.v1.InfoResponse> {
  return link.call(AGENT.info, {}, { repeatable: true, ...(signal === undefined ? {} : { signal }) });
}

function generationOf({ agentVersion: version, agentCommit: commit, generation }: berth.v1.InfoResponse): AgentGeneration {
  return { version, commit, generation };
}

function checkRuns({ bundle, agentVersion, agentCommit, generation }: berth.v1.InfoResponse, wanted: string): void {
  if (bundle === wanted) return;
  const runs = bundle === '' ? "that of the guest's image" : 'another one';
  const said = `the new agent came to nothing: ${runs} runs now (${agentVersion}, ${agentCommit}), and with it all that ran before`;
  throw new AgentError('aborted', said, { fields: { generation, bundle } });
}
