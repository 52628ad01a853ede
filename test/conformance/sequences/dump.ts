// A sequence as a text that people can read and compare: each frame in hexadecimal behind a comment that says what it is.
import { expand } from '../runner/expand.ts';
import type { Sequence } from './exchange.ts';
import { HEADER_BYTES, requestFrame, type Sent } from './frames.ts';
import { SPECS } from './pod.ts';

const LINE_BYTES = 48;

/** The frames in the order they go out; streams are numbered 1, 3, 5 as clients do. */
export function framesOf({ steps, order }: Sequence): Sent[] {
  const calls = steps.flatMap((step) => ('call' in step ? [step] : []));
  return calls.map(({ call, request, timeoutNs = 0 }, index) =>
    requestFrame(2 * index + 1, call, expand(request ?? {}, new Map(), SPECS), timeoutNs, order),
  );
}

export function dumpOf(sequence: Sequence): string {
  const calls = sequence.steps.flatMap((step) => ('call' in step ? [step] : []));
  const lines = [`# ${sequence.name}: one frame a block, header and envelope. Written by write-dumps.ts; do not edit.`];
  for (const [index, { streamId, call, bytes }] of framesOf(sequence).entries()) {
    const { timeoutNs = 0, request } = calls[index]!;
    lines.push('', `# ${streamId} ${call}, deadline ${timeoutNs} ns ${JSON.stringify(request ?? {}).slice(0, 100)}`);
    lines.push(bytes.subarray(0, HEADER_BYTES).toString('hex'));
    for (let at = HEADER_BYTES; at < bytes.length; at += LINE_BYTES)
      lines.push(bytes.subarray(at, at + LINE_BYTES).toString('hex'));
  }
  return `${lines.join('\n')}\n`;
}

/** The frames of a dump, one a block. */
export function readDump(text: string): Buffer[] {
  return text
    .split(/\n\s*\n/)
    .map((block) => block.replaceAll(/^#.*$/gm, '').replaceAll(/\s/g, ''))
    .filter((hex) => hex !== '')
    .map((hex) => Buffer.from(hex, 'hex'));
}
