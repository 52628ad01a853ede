// A process that does for the streams of one other what the agent does, and nothing else: for killed-agent.spec.ts, which starts the next one
// with the same fds when this one is killed. What PID 1 would hand over it finds open.
import { Socket } from 'node:net';
import { adoptStdio } from '../../../../agent/process/adopt-stdio.ts';
import { newStdioKey } from '../../../../agent/process/stdio-store.ts';
import { Budget } from '../../../../agent/process/stream/budget.ts';
import { type Frame, frame, frames } from './stream-frames.ts';

export const CLIENT_FD = 3;
const STDIN_FD = 4;
const FIRST_FD = 5;
const WHOLE_FDS = 6;

const client = new Socket({ fd: CLIENT_FD });
const key = newStdioKey();
const stdio = await adoptStdio(
  {
    key,
    store: {
      get: async (asked) =>
        asked.equals(key)
          ? Array.from({ length: WHOLE_FDS }, (_, at) => FIRST_FD + at)
          : process.env['STDIN_CLOSED']
            ? []
            : [STDIN_FD],
      put: async () => {},
      delete: async () => void client.write(frame('stdin-closed', 0n)),
    },
  },
  { budget: new Budget(1 << 25) },
);

let reader: ReturnType<typeof stdio.stdout.reader> | undefined;

client.write(frame('accepted', stdio.stdin.accepted));
for await (const { kind, offset, data } of frames(client)) handle(kind, offset, data);

function handle(kind: Frame['kind'], offset: bigint, data: Buffer): void {
  if (kind === 'read') void send(offset);
  else if (kind === 'ack') reader?.ack(offset);
  else if (kind === 'close') stdio.stdin.close(offset);
  else if (kind === 'write') {
    // Beyond a failure it would only be a hole: the client goes by what it is told.
    stdio.stdin.write(data, { offset }).then(
      (accepted) => client.write(frame('accepted', accepted)),
      () => {},
    );
  }
}

async function send(from: bigint): Promise<void> {
  reader = stdio.stdout.reader({ from, primary: true });
  for (;;) {
    const piece = await reader.next(64 * 1024);
    if (piece.kind === 'gap') throw new Error('a gap');
    const sent = piece.kind === 'end' ? frame('end', piece.offset) : frame('data', piece.offset, piece.data);
    if (!client.write(sent)) await new Promise((resolve) => client.once('drain', resolve));
    if (piece.kind === 'end') return;
  }
}
