// berth.v1.Processes/Attach: one call that carries everything of one process, both ways.
import { berth } from '#proto/berth.js';
import { AgentError } from '../../errors.ts';
import type { Turns } from '../../process/stream/turns.ts';
import type { Method } from '../../rpc/service.ts';
import type { StreamName } from '../../sandbox/attach-event.ts';
import type { OutputWanted } from '../../sandbox/attached-output.ts';
import { STDIN_WINDOW_BYTES } from '../../sandbox/attached-stdin.ts';
import { Attachment } from '../../sandbox/attachment.ts';
import type { Clients } from '../../sandbox/clients.ts';
import type { ProcessTable } from '../../sandbox/process-table.ts';
import { attachResponse } from './attach-response.ts';
import { berthService } from './method.ts';
import { processMessage } from './process-message.ts';
import { refuse, toRef, toSize } from './process-ref.ts';

const v1 = berth.v1;
const { OutputStream } = v1;

export interface ProcessMethodOptions {
  readonly processes: ProcessTable;
  readonly clients: Clients;
  readonly turns: Turns;
  bootId(): Promise<string>;
}

export function attachMethod({ processes, clients, turns, bootId }: ProcessMethodOptions): Method {
  const { duplex } = berthService('Processes', clients);
  return duplex('Attach', v1.AttachRequest, attachResponse, async ({ requests, send }, { caller, signal }) => {
    const messages = requests[Symbol.asyncIterator]();
    const open = await firstOf(messages);
    const entry = processes.get(toRef(open.ref));
    const options = {
      stdout: toWanted(open.stdout, 'stdout'),
      stderr: toWanted(open.stderr, 'stderr'),
      drainMs: open.drainMs ?? undefined,
    };
    const process = processMessage(entry, await bootId());
    const attachment = new Attachment(entry, options, { turns, clientId: caller.id, signal, send });
    try {
      void send({ kind: 'opened', process, stdinWindow: STDIN_WINDOW_BYTES }).catch(() => {});
      const running = attachment.run();
      running.catch(() => {});
      // A client that sends no more goes on reading; one that sends what makes no sense ends its call.
      await Promise.race([running, obey(messages, attachment).then(() => running)]);
    } finally {
      attachment.close();
    }
  });
}

async function firstOf(messages: AsyncIterator<berth.v1.AttachRequest>): Promise<berth.v1.AttachRequest.Open.$Properties> {
  const first = await messages.next();
  if (!first.done && first.value.open) return first.value.open;
  throw new AgentError('invalid_argument', 'the first message of Attach must be `open`', { fields: { field: 'open' } });
}

async function obey(messages: AsyncIterator<berth.v1.AttachRequest>, attachment: Attachment): Promise<void> {
  for (let next = await messages.next(); !next.done; next = await messages.next()) {
    const { credit, acknowledge, stdin, stdinClose, resize } = next.value;
    if (credit) attachment.credit(toStream(credit.stream), credit.bytes ?? 0);
    else if (acknowledge) attachment.acknowledge(toStream(acknowledge.stream), acknowledge.offset ?? 0n);
    else if (stdin) attachment.write(stdin.offset ?? 0n, stdin.data ?? new Uint8Array(0));
    else if (stdinClose) attachment.closeStdin(stdinClose.offset ?? 0n);
    else if (resize) {
      const { rows, columns } = toSize(resize);
      attachment.resize(rows, columns);
    } else throw new AgentError('invalid_argument', 'a message of Attach after the first is empty or `open` again');
  }
  attachment.finish();
}

function toStream(stream: berth.v1.OutputStream | null | undefined): StreamName {
  if (stream === OutputStream.OUTPUT_STREAM_STDOUT) return 'stdout';
  if (stream === OutputStream.OUTPUT_STREAM_STDERR) return 'stderr';
  return refuse('stream', 'names neither stdout nor stderr');
}

function toWanted(
  output: berth.v1.AttachRequest.Output.$Properties | null | undefined,
  field: StreamName,
): OutputWanted | undefined {
  if (!output) return undefined;
  return { from: toFrom(output, field), primary: output.primary ?? false, credit: output.credit ?? 0 };
}

function toFrom(output: berth.v1.AttachRequest.Output.$Properties, field: StreamName): OutputWanted['from'] {
  if (output.offset != null) return output.offset;
  if (output.start) return 'start';
  if (output.end) return 'end';
  if (output.acknowledged) return 'ack';
  return refuse(`open.${field}.from`, 'is missing');
}
