// Kata's RPCs on standard streams: the host pulls output and pushes input, one bounded piece a call.
import { google, grpc } from '#proto/kata.js';
import { AgentError } from '../../errors.ts';
import type { Stdio } from '../../process/stdio.ts';
import type { OutputLog } from '../../process/stream/output-log.ts';
import { PulledOutput } from '../../process/stream/pulled-output.ts';
import type { Turns } from '../../process/stream/turns.ts';
import type { CallContext, Method } from '../../rpc/service.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { kataMethod } from './method.ts';

const { Empty } = google.protobuf;
const asArgument = { unknownContainer: 'invalid_argument' } as const;
const NOTHING = new Uint8Array(0);

export function stdioMethods(sandbox: Sandbox, turns: Turns): Method[] {
  return [
    kataMethod(
      'WriteStdin',
      grpc.WriteStreamRequest,
      grpc.WriteStreamResponse,
      async ({ containerId, execId, data }, { signal }) => {
        const { stdin } = sandbox.container(containerId).process(execId).stdio;
        // runtime-rs never sends CloseStdin: no data is its end of input (§3.8).
        if (data.length === 0) stdin.close();
        else await stdin.write(data, { signal });
        return { len: data.length };
      },
      { unknownContainer: 'internal', unknownProcess: 'internal' },
    ),

    kataMethod(
      'CloseStdin',
      grpc.CloseStdinRequest,
      Empty,
      ({ containerId, execId }) => {
        sandbox.container(containerId).process(execId).stdio.stdin.close();
        return {};
      },
      asArgument,
    ),

    readMethod(sandbox, turns, 'ReadStdout', (stdio) => stdio.stdout),
    readMethod(sandbox, turns, 'ReadStderr', (stdio) => stdio.stderr),
  ];
}

function readMethod(sandbox: Sandbox, turns: Turns, name: string, stream: (stdio: Stdio) => OutputLog): Method {
  const answer = async ({ containerId, execId, len }: grpc.ReadStreamRequest, call: CallContext) => {
    // No bytes asked for would be answered with none, and that means end of output.
    if (len === 0) throw new AgentError('invalid_argument', 'len must be above 0', { fields: { field: 'len' } });
    const output = pulled(stream(sandbox.container(containerId).process(execId).stdio));
    return { data: await read(output, len, call, turns) };
  };
  const method = kataMethod(name, grpc.ReadStreamRequest, grpc.ReadStreamResponse, answer, asArgument);
  return { ...method, refused: (request, call) => discardOutput((each) => method.handle(request, each), call) };
}

/**
 * What a client gets whom the policy denies a process's output: nothing, and the end once it has come. The output is taken all the
 * same, or the process would stand still with nobody to read it.
 */
async function discardOutput<Res extends { data?: Uint8Array | null }>(
  readPiece: (call: CallContext) => Promise<Res> | Res,
  { caller, signal, metadata }: CallContext,
): Promise<Res> {
  for (;;) {
    const taken: ((sent: boolean) => void)[] = [];
    const response = await readPiece({ caller, signal, metadata, onAnswered: (listener) => void taken.push(listener) });
    for (const settle of taken) settle(true);
    if (!response.data?.length) return response;
  }
}

/** Kata's cursor on each stream that was ever read its way: the primary one, since its reads are what consumes. */
const cursors = new WeakMap<OutputLog, PulledOutput>();

function pulled(log: OutputLog): PulledOutput {
  let output = cursors.get(log);
  if (output === undefined) {
    output = new PulledOutput(log.reader({ from: 'ack', primary: true }));
    cursors.set(log, output);
  }
  return output;
}

/** Up to `maxBytes`, when it is this client's turn to get some; nothing at the end of output. What an answer carries that gets lost is read again. */
async function read(output: PulledOutput, maxBytes: number, call: CallContext, turns: Turns): Promise<Uint8Array> {
  for (;;) {
    await output.ready(call.signal);
    const turn = await turns.turn(call.caller.id, output, maxBytes, call.signal);
    const taken = output.take(turn.bytes);
    if (taken?.piece.kind !== 'data') {
      turn.take(0);
      if (taken?.piece.kind === 'end') return NOTHING;
      continue;
    }
    // Not `taken` as a whole: until the client has taken the answer, its bytes are held once, as encoded.
    const { piece, settle } = taken;
    turn.take(piece.data.length);
    call.onAnswered((sent) => {
      turn.done();
      settle(sent);
    });
    return piece.data;
  }
}
