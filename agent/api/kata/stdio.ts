// Kata's RPCs on standard streams: the host pulls output and pushes input, one bounded piece a call.
import { google, grpc } from '#proto/kata.js';
import { AgentError } from '../../errors.ts';
import type { OutputStream } from '../../process/output-stream.ts';
import type { Stdio } from '../../process/stdio.ts';
import type { CallContext, Method } from '../../rpc/service.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { kataMethod } from './method.ts';

const { Empty } = google.protobuf;
const asArgument = { unknownContainer: 'invalid_argument' } as const;

export function stdioMethods(sandbox: Sandbox): Method[] {
  return [
    kataMethod(
      'WriteStdin',
      grpc.WriteStreamRequest,
      grpc.WriteStreamResponse,
      async ({ containerId, execId, data }) => {
        const { stdin } = sandbox.container(containerId).process(execId).stdio;
        // runtime-rs never sends CloseStdin: no data is its end of input (§3.8).
        if (data.length === 0) stdin.close();
        else await stdin.write(data);
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

    readMethod(sandbox, 'ReadStdout', (stdio) => stdio.stdout),
    readMethod(sandbox, 'ReadStderr', (stdio) => stdio.stderr),
  ];
}

function readMethod(sandbox: Sandbox, name: string, stream: (stdio: Stdio) => OutputStream): Method {
  return kataMethod(
    name,
    grpc.ReadStreamRequest,
    grpc.ReadStreamResponse,
    async ({ containerId, execId, len }, { signal }: CallContext) => {
      // No bytes asked for would be answered with none, and that means end of output.
      if (len === 0) throw new AgentError('invalid_argument', 'len must be above 0', { fields: { field: 'len' } });
      return { data: await stream(sandbox.container(containerId).process(execId).stdio).read(len, signal) };
    },
    asArgument,
  );
}
