// `berth cp`: files and directories between this machine and a container, or the guest itself.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { AgentError, hasCode } from '../../agent/errors.ts';
import type { FileInfo } from '../api/file-info.ts';
import type { Files } from '../api/files.ts';
import type { Guest } from '../api/guest.ts';
import type { Arguments } from './arguments.ts';
import { type CopyEnd, parseCopyEnds } from './copy-ends.ts';
import { writeAll } from './fd-output.ts';
import { nameInside, packDirectory, unpackInto, writeHostFile } from './host-files.ts';
import { DEFAULT_VM, openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

const STDOUT = 1;

export const cp: Verb = {
  name: 'cp',
  usage: '[OPTIONS] SOURCE DESTINATION',
  summary: 'Copies files and directories into and out of containers.',
  description: `One of both is CONTAINER:PATH, or :PATH for the guest itself (the name of its VM does as well); the other is a path of this machine, or - for
stdin or stdout. A directory goes with all below it, links as links, permissions as they are; set-id bits are cleared, and what is
copied in is root's. Into a directory that is there it goes under its own name. From - a directory is unpacked from a tar archive,
to - it is packed into one. A file appears whole or not at all, also where the connection broke and was made again.`,
  options: {
    ...TARGET_OPTIONS,
    parents: { kind: 'flag', short: 'p', help: 'make the directories above the destination in the container' },
  },

  async run(args) {
    const ends = parseCopyEnds(args.positionals);
    await using target = await openTarget(args, {});
    const files = await filesOf(target.guest, ends.there, args);
    if (ends.direction === 'in') await copyIn(files, ends, { makeParents: args.flag('parents') });
    else await copyOut(files, ends);
    return 0;
  },
};

async function filesOf(guest: Guest, { name }: CopyEnd['there'], args: Arguments): Promise<Files> {
  if (name === '') return guest.files;
  if ((await guest.containers()).some(({ id }) => id === name)) return guest.container(name).files;
  if (name === (args.text('vm') ?? process.env['BERTH_VM'] ?? DEFAULT_VM)) return guest.files;
  throw new AgentError('not_found', `container ${name} not found`, { fields: { container: name } });
}

async function copyIn(files: Files, { here, there }: CopyEnd, { makeParents }: { makeParents: boolean }): Promise<void> {
  const target = await unlessMissing(files.stat(there.path));
  const isDirectory = target?.type === 'directory';
  if (here === '-') {
    if (isDirectory) await files.tarIn(there.path, process.stdin);
    else await files.write(there.path, process.stdin, { makeParents });
    return;
  }
  const source = await stat(here);
  const path = isDirectory ? posix.join(there.path, nameInside(here)) : there.path;
  if (source.isDirectory()) await files.tarIn(path, packDirectory(here), { makeParents: true });
  else if (source.isFile()) await files.write(path, createReadStream(here), { mode: source.mode & 0o1777, makeParents });
  else throw new AgentError('invalid_argument', `${here} is neither a file nor a directory`);
}

async function copyOut(files: Files, { here, there }: CopyEnd): Promise<void> {
  const source: FileInfo = await files.stat(there.path);
  if (source.type === 'other') throw new AgentError('failed_precondition', `${there.path} is neither a file nor a directory`);
  const content = source.type === 'directory' ? files.tarOut(there.path) : files.read(there.path);
  if (here === '-') {
    for await (const piece of content) await writeAll(STDOUT, piece);
    return;
  }
  const isDirectory = await stat(here).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const path = isDirectory && source.name !== '/' ? posix.join(here, source.name) : here;
  if (source.type === 'directory') await unpackInto(path, content);
  else await writeHostFile(path, content, source.mode & 0o777);
}

async function unlessMissing<T>(looking: Promise<T>): Promise<T | undefined> {
  return await looking.catch((error: unknown) => {
    if (hasCode(error, 'not_found')) return undefined;
    throw error;
  });
}
