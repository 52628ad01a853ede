// `berth logs`: what a guest has kept of the output of a process, and what comes after.
import { isUtf8 } from 'node:buffer';
import type { berth } from '#proto/berth.js';
import { AgentError } from '../../agent/errors.ts';
import type { Position } from '../api/attachment.ts';
import type { OutputPiece, ProcessOutput } from '../api/output.ts';
import type { Arguments } from './arguments.ts';
import { writeAll, writeText } from './fd-output.ts';
import { onlyName, parseProcessName, processNamed } from './process-name.ts';
import { tellGap } from './session.ts';
import { LastLines } from './tail.ts';
import { openTarget } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

type StreamName = 'stdout' | 'stderr';
const STREAMS: readonly StreamName[] = ['stdout', 'stderr'];

export const logs: Verb = {
  name: 'logs',
  usage: '[OPTIONS] CONTAINER[/PROCESS]',
  summary: 'Shows the output of a container or process.',
  description:
    'What is kept of it: the newest 512 KiB of each stream of what was started with -d, else the last 64 KiB that somebody has read\n' +
    'and what nobody has. stdout goes to stdout, stderr to stderr. Reading takes nothing away and holds nothing back.',
  options: {
    ...TARGET_OPTIONS,
    follow: { kind: 'flag', short: 'f', help: 'go on until the output ends, also over lost connections' },
    tail: { kind: 'text', short: 'n', value: 'LINES', help: 'begin with the last lines of what is kept' },
    stream: { kind: 'text', value: 'NAME', help: 'stdout or stderr alone' },
    'since-offset': {
      kind: 'text',
      value: 'BYTE',
      help: 'begin at this byte of one stream: stdout, unless --stream says stderr',
    },
    json: { kind: 'flag', help: 'an object a line: stream, offset, next, and text (or base64), gap or end' },
  },

  async run(args) {
    const name = onlyName(args.positionals);
    parseProcessName(name);
    const wanted = readWanted(args);
    await using target = await openTarget(args, {});
    const process = await processNamed(target.guest, name, { from: wanted.from });
    // Up to where it goes without --follow.
    const state = await process.inspect();
    const streams = process.terminal ? (['stdout'] as const) : wanted.streams;
    const show = streams.map(async (stream) => {
      const writer = args.flag('json') ? jsonWriter(stream) : bytesWriter(stream === 'stdout' ? 1 : 2);
      await copyLog(process[stream], writer, { ...wanted, ...placeOf(state[stream], wanted.from[stream]) });
    });
    await Promise.all(show);
    return 0;
  },
};

interface Wanted {
  readonly streams: readonly StreamName[];
  readonly from: { readonly [Name in StreamName]?: Position };
  readonly follow: boolean;
  readonly tail: number | undefined;
}

function readWanted(args: Arguments): Wanted {
  const stream = args.text('stream');
  if (stream !== undefined && stream !== 'stdout' && stream !== 'stderr') {
    throw new AgentError('invalid_argument', `unknown --stream '${stream}': give stdout or stderr`, {
      fields: { field: 'stream' },
    });
  }
  const since = readNumber(args, 'since-offset');
  const tail = readNumber(args, 'tail');
  if (since !== undefined && tail !== undefined) {
    throw new AgentError('invalid_argument', 'give --since-offset or --tail, not both', { fields: { field: 'tail' } });
  }
  const only = stream ?? (since === undefined ? undefined : 'stdout');
  return {
    streams: only === undefined ? STREAMS : [only],
    from: since === undefined ? {} : { [only!]: since },
    follow: args.flag('follow'),
    tail: tail === undefined ? undefined : Number(tail),
  };
}

function readNumber(args: Arguments, name: string): bigint | undefined {
  const text = args.text(name);
  if (text === undefined) return undefined;
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new AgentError('invalid_argument', `invalid --${name} '${text}': give a number`, { fields: { field: name } });
}

type Writer = (piece: OutputPiece) => Promise<void>;

interface Place {
  readonly begin: bigint;
  /** Offset after the last byte that was there when the log was asked for. */
  readonly until: bigint;
}

function placeOf(state: berth.v1.OutputState.$Properties | null | undefined, from: Position | undefined): Place {
  return { begin: typeof from === 'bigint' ? from : (state?.start ?? 0n), until: state?.end ?? 0n };
}

async function copyLog(output: ProcessOutput, write: Writer, wanted: Wanted & Place): Promise<void> {
  const { follow, tail, begin, until } = wanted;
  let last = tail === undefined ? undefined : new LastLines(tail);
  const tellLast = async () => {
    for (const piece of last?.pieces() ?? []) await write(piece);
    last = undefined;
  };
  if (begin === until && !follow) return;
  for await (const piece of output.pieces()) {
    const shown = follow ? piece : cut(piece, until);
    if (last !== undefined && shown.kind === 'data') last.push(shown);
    else if (piece.kind !== 'end' || follow) await write(shown);
    if (after(piece) < until) continue;
    await tellLast();
    if (!follow) return;
  }
  await tellLast();
}

/** What came after the log was asked for is not part of it. */
function cut(piece: OutputPiece, until: bigint): OutputPiece {
  if (piece.kind !== 'data' || after(piece) <= until) return piece;
  return { ...piece, data: piece.data.subarray(0, Number(until - piece.offset)) };
}

/** Offset of the byte that follows it. */
function after(piece: OutputPiece): bigint {
  if (piece.kind === 'data') return piece.offset + BigInt(piece.data.length);
  return piece.kind === 'gap' ? piece.to : piece.offset;
}

function bytesWriter(fd: number): Writer {
  return async (piece) => {
    if (piece.kind === 'data') await writeAll(fd, piece.data);
    if (piece.kind === 'gap') await tellGap(piece.from, piece.to);
  };
}

/** Offsets fit a double: a process would write for years. */
function jsonWriter(stream: StreamName): Writer {
  return async (piece) => {
    const row = { stream, ...pieceRow(piece), next: Number(after(piece)) };
    await writeText(1, `${JSON.stringify(row)}\n`);
  };
}

function pieceRow(piece: OutputPiece): object {
  if (piece.kind === 'gap') return { gap: { from: Number(piece.from), to: Number(piece.to) } };
  if (piece.kind === 'end') return { end: { closed: piece.closed } };
  const { offset, data } = piece;
  return { offset: Number(offset), ...(isUtf8(data) ? { text: data.toString() } : { base64: data.toString('base64') }) };
}
