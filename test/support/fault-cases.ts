// What is done to a guest whose agent dies at a labelled point (agent/fault-point.ts): for each label one operation or more that comes by it,
// and what has to be true once the operation has been repeated as its client would.
import assert from 'node:assert/strict';
import { hasCode, isAgentError } from '../../agent/errors.ts';
import { END_BYTES } from '../../agent/guest/files/tar/entry.ts';
import { tarHeader } from '../../agent/guest/files/tar/write-header.ts';
import type { Container } from '../../client/api/container.ts';
import type { Guest } from '../../client/api/guest.ts';
import { defaultProcess, defaultSpec } from '../../client/default-spec.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';
import { prepareRoot } from '../../client/rootfs.ts';
import type { TestGuest } from './guest.ts';

export interface FaultContext {
  readonly booted: TestGuest;
  /** Of berth.v1. */
  readonly guest: Guest;
  /** Runs all the while. */
  readonly canary: Container;
  /** A name that no other case has. */
  readonly id: string;
  /** The next agent that comes by the label dies. */
  arm(): Promise<void>;
  /** Runs a line in a shell of the guest that has been there all the while. */
  sh(line: string): Promise<string>;
}

export interface FaultCase {
  readonly label: string;
  readonly operation: string;
  readonly run: (context: FaultContext) => Promise<void>;
  /** One of the few that `npm test` runs without BERTH_TEST_LONG. */
  readonly always?: boolean;
}

const SHARE = '/run/kata-containers/shared/containers';
/** Says that it ran, each time it does. */
const ONCE = 'echo x >> /once; echo here';
const TEXT = 'each byte of it\n'.repeat(2_000);

const of = (operation: string, run: FaultCase['run'], labels: readonly string[], always: readonly string[] = []): FaultCase[] =>
  labels.map((label) => ({ label, operation, run, always: always.includes(label) }));

const CREATE = [
  'create:recorded',
  'create:storages',
  'create:bundle',
  'launch:recorded',
  'launch:ran',
  'create:launched',
  'create:made',
];
const START = ['start:recorded', 'start:started'];
const EXEC = ['launch:recorded', 'launch:ran', 'exec:launched'];
const REMOVE = ['remove:recorded', 'remove:killed', 'remove:deleted', 'remove:released', 'remove:done'];

export const FAULT_CASES: readonly FaultCase[] = [
  ...of("create by Kata's calls", createByKata, CREATE, ['create:launched']),
  ...of('create by berth.v1', createByBerth, CREATE),
  ...of("start by Kata's calls", startByKata, START),
  ...of('start by berth.v1', startByBerth, START, ['start:started']),
  ...of("exec by Kata's calls", execByKata, EXEC),
  ...of('exec by berth.v1', execByBerth, EXEC, ['launch:ran']),
  ...of('process of the guest', startInGuest, ['guest-start:recorded', 'guest-start:launched', 'guest-start:started']),
  ...of("remove by Kata's calls", removeByKata, REMOVE, ['remove:deleted']),
  ...of('remove by berth.v1', removeByBerth, REMOVE),
  ...of('CopyFile', copyFile, ['copy:recorded', 'copy:begun', 'copy:written', 'copy:published'], ['copy:written']),
  ...of('CopyFile of a link', copyLink, ['copy:linked']),
  ...of('write of a file', writeFile, ['write:begun', 'write:written', 'write:published']),
  ...of('write over a file', overwriteFile, ['write:linked']),
  ...of('tar of a link', unpackLink, ['unpack:linked']),
];

async function createByKata({ booted, guest, id, arm, sh }: FaultContext): Promise<void> {
  await arm();
  await asShim(booted, createCall(booted, id), /already exists/);
  const container = guest.container(id);
  await asShim(booted, ({ kata }) => kata.startContainer({ containerId: id }));
  await isWhole(container);
  await container.remove();
  await isGone(sh, id);
}

async function createByBerth({ booted, guest, id, arm, sh }: FaultContext): Promise<void> {
  await arm();
  const container = await guest.create({ id, rootfs: booted.busybox, args: ['sh', '-c', `${ONCE}; exec sleep 1000`] });
  await container.start();
  await isWhole(container);
  await container.remove();
  await isGone(sh, id);
}

async function startByKata({ booted, guest, id, arm, sh }: FaultContext): Promise<void> {
  await asShim(booted, createCall(booted, id));
  await arm();
  await asShim(booted, ({ kata }) => kata.startContainer({ containerId: id }), /current status is: running/);
  await isWhole(guest.container(id));
  await guest.container(id).remove();
  await isGone(sh, id);
}

async function startByBerth({ booted, guest, id, arm, sh }: FaultContext): Promise<void> {
  const container = await guest.create({ id, rootfs: booted.busybox, args: ['sh', '-c', `${ONCE}; exec sleep 1000`] });
  await arm();
  await container.start();
  await isWhole(container);
  await container.remove();
  await isGone(sh, id);
}

async function execByKata({ booted, canary, id, arm }: FaultContext): Promise<void> {
  const process = defaultProcess({ args: ['sh', '-c', `echo x >> /once-${id}; echo here; exit 5`] });
  await arm();
  await asShim(booted, ({ kata }) => kata.execProcess({ containerId: canary.id, execId: id, process }), /already exists/);
  await using client = await booted.connect('ttrpc');
  const { stdout, exitCode } = await new GuestProcess(client.kata, { containerId: canary.id, execId: id }, false).collect();
  assert.deepEqual([stdout.toString(), exitCode], ['here\n', 5]);
  assert.equal(await canary.files.read(`/once-${id}`).text(), 'x\n');
}

async function execByBerth({ canary, id, arm }: FaultContext): Promise<void> {
  await arm();
  const process = await canary.run(['sh', '-c', `echo x >> /once-${id}; echo here; exit 5`], { key: id, lifetime: 'keep' });
  const stdout = await process.stdout.text();
  const ending = await process.wait();
  assert.deepEqual([stdout, ending.kind === 'exited' && ending.code], ['here\n', 5]);
  await process.forget();
  assert.equal(await canary.files.read(`/once-${id}`).text(), 'x\n');
}

async function startInGuest({ guest, id, arm, sh }: FaultContext): Promise<void> {
  await arm();
  const process = await guest.run(['sh', '-c', `echo x >> /run/once-${id}; echo here; exit 5`], { key: id, lifetime: 'keep' });
  const stdout = await process.stdout.text();
  const ending = await process.wait();
  assert.deepEqual([stdout, ending.kind === 'exited' && ending.code], ['here\n', 5]);
  await process.forget();
  assert.equal(await sh(`cat /run/once-${id}; rm /run/once-${id}`), 'x\n');
}

async function removeByKata({ booted, guest, id, arm, sh }: FaultContext): Promise<void> {
  await (await guest.create({ id, rootfs: booted.busybox, args: ['sleep', '1000'] })).start();
  await arm();
  await asShim(booted, ({ kata }) => kata.removeContainer({ containerId: id }), /Invalid container id/);
  await isGone(sh, id);
  assert.equal((await guest.containers()).filter((each) => each.id === id).length, 0);
}

async function removeByBerth({ booted, guest, id, arm, sh }: FaultContext): Promise<void> {
  const container = await guest.create({ id, rootfs: booted.busybox, args: ['sleep', '1000'] });
  await container.start();
  await arm();
  await container.remove();
  await isGone(sh, id);
  // The id is free.
  const again = await guest.create({ id, rootfs: booted.busybox, args: ['sleep', '1000'] });
  await again.remove();
  await isGone(sh, id);
}

async function copyFile({ booted, id, arm, sh }: FaultContext): Promise<void> {
  const path = `${SHARE}/${id}`;
  const data = Buffer.from(TEXT);
  const half = data.length / 2;
  const piece = { path, fileSize: BigInt(data.length), fileMode: 0o100644, dirMode: 0o755, uid: 0, gid: 0 };
  await arm();
  let attempts = 0;
  await asShim(booted, async ({ kata }) => {
    // What is under the name after the death is all of it or nothing.
    if (attempts++ > 0) assert.match(await sh(`[ ! -e ${path} ] || wc -c < ${path}`), new RegExp(`^(${data.length}\\n)?$`));
    await kata.copyFile({ ...piece, offset: 0n, data: data.subarray(0, half) });
    await kata.copyFile({ ...piece, offset: BigInt(half), data: data.subarray(half) });
  });
  assert.equal(attempts, 2);
  assert.equal(await sh(`cat ${path}; rm ${path}`), TEXT);
  await noTemporaries(sh, SHARE);
}

async function copyLink({ booted, id, arm, sh }: FaultContext): Promise<void> {
  const path = `${SHARE}/${id}`;
  const link = { path, fileMode: 0o120777, dirMode: 0o755, uid: 0, gid: 0, data: Buffer.from('target') };
  await arm();
  await asShim(booted, async ({ kata }) => void (await kata.copyFile(link)));
  assert.equal(await sh(`readlink ${path}; rm ${path}`), 'target\n');
  await noTemporaries(sh, SHARE);
}

async function writeFile({ canary, id, arm, sh }: FaultContext): Promise<void> {
  await arm();
  await canary.files.write(`/${id}`, TEXT);
  await isWritten(canary, id, sh);
}

async function overwriteFile({ canary, id, arm, sh }: FaultContext): Promise<void> {
  await canary.files.write(`/${id}`, 'before');
  await arm();
  await canary.files.write(`/${id}`, TEXT);
  await isWritten(canary, id, sh);
}

async function unpackLink({ canary, id, arm, sh }: FaultContext): Promise<void> {
  const entry = { name: Buffer.from(id), type: 'symlink', size: 0, linkName: Buffer.from('target') } as const;
  const archive = Buffer.concat([tarHeader({ ...entry, mode: 0o777, uid: 0, gid: 0, modified: 0 }), Buffer.alloc(END_BYTES)]);
  const unpack = () =>
    canary.files.tarIn(
      '/',
      (async function* () {
        yield archive;
      })(),
    );
  await arm();
  await assert.rejects(unpack(), { code: 'unavailable' });
  await unpack();
  assert.equal((await canary.files.stat(`/${id}`, { noFollow: true })).linkTarget, 'target');
  await noTemporaries(sh, await rootOf(canary));
}

async function isWritten(canary: Container, id: string, sh: FaultContext['sh']): Promise<void> {
  assert.equal(await canary.files.read(`/${id}`).text(), TEXT);
  await noTemporaries(sh, await rootOf(canary));
}

function createCall({ busybox }: TestGuest, id: string): (client: AgentClient) => Promise<void> {
  const { storages, rootPath } = prepareRoot(id, busybox);
  const OCI = defaultSpec({ args: ['sh', '-c', `${ONCE}; exec sleep 1000`], rootPath });
  return async ({ kata }) => void (await kata.createContainer({ containerId: id, storages, OCI }));
}

/** A call of Kata's, made again when the agent was lost with it. @param done what says, when it is repeated, that it had been done */
async function asShim(booted: TestGuest, call: (client: AgentClient) => Promise<unknown>, done?: RegExp): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    await using client = await booted.connect('ttrpc');
    try {
      await call(client);
      return;
    } catch (error) {
      if (attempt > 0 && isAgentError(error) && done?.test(error.message)) return;
      if (attempt > 2 || !hasCode(error, 'unavailable')) throw error;
    }
  }
}

/** It runs, its first program was started once, and programs run in it. */
async function isWhole(container: Container): Promise<void> {
  assert.equal(await container.state(), 'running');
  const init = await container.init();
  for await (const line of init.stdout.lines()) {
    assert.equal(line, 'here');
    break;
  }
  const program = await container.run(['cat', '/once']);
  assert.equal(await program.stdout.text(), 'x\n');
  const ending = await program.wait();
  assert.equal(ending.kind === 'exited' && ending.code, 0);
}

async function isGone(sh: FaultContext['sh'], id: string): Promise<void> {
  const left = `find /sys/fs/cgroup -type d -name '*${id}*'; find /run -xdev -name '*${id}*'; grep ${id} /proc/1/mountinfo`;
  assert.equal(await sh(`{ ${left}; } 2>/dev/null`), '');
}

async function rootOf(container: Container): Promise<string> {
  return `/proc/${(await container.init()).pid}/root`;
}

/** The next agent takes them away while it serves already. */
async function noTemporaries(sh: FaultContext['sh'], directory: string): Promise<void> {
  const look = `for i in 1 2 3 4 5 6 7 8 9 10; do left=$(find ${directory}/ -xdev -name '.berth-copy-*'); [ -z "$left" ] && break; sleep 0.5; done; echo "$left"`;
  assert.equal((await sh(look)).trim(), '');
}
