// Kata's RPCs on one process: exec, signal, wait, window size.
import { google, grpc } from '#proto/kata.js';
import { checkExecId } from '../../container/spec/ids.ts';
import { AgentError } from '../../errors.ts';
import { exitStatus } from '../../process/container-process.ts';
import { SIGKILL } from '../../process/signals.ts';
import type { Method } from '../../rpc/service.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { kataMethod } from './method.ts';
import { toProcessSpec } from './oci-process.ts';
import { type Passfd, withPassed } from './passfd.ts';

const { Empty } = google.protobuf;
const asArgument = { unknownContainer: 'invalid_argument' } as const;

export function processMethods(sandbox: Sandbox, passfd?: Passfd): Method[] {
  return [
    kataMethod('ExecProcess', grpc.ExecProcessRequest, Empty, async (request) => {
      const { containerId, execId, process } = request;
      if (!process) {
        throw new AgentError('internal', 'Unable to parse process from ExecProcessRequest: process is missing', {
          fields: { field: 'process' },
        });
      }
      checkExecId(execId);
      const spec = toProcessSpec(process);
      await withPassed(passfd, request, (passed) =>
        sandbox.share(containerId, (container) => container.exec(execId, spec, { passed })),
      );
      return {};
    }),

    // Not behind the gate: a signal must reach a container whose start or exec hangs.
    kataMethod('SignalProcess', grpc.SignalProcessRequest, Empty, async ({ containerId, execId, signal }) => {
      if (execId === '' && signal === SIGKILL) {
        await sandbox.container(containerId).killAll();
        return {};
      }
      await addressed(sandbox, containerId).signal(execId, signal);
      return {};
    }),

    kataMethod(
      'WaitProcess',
      grpc.WaitProcessRequest,
      grpc.WaitProcessResponse,
      async ({ containerId, execId }, { signal }) => {
        const exit = await sandbox.container(containerId).process(execId).waitCopied(signal);
        return { status: exitStatus(exit) };
      },
      asArgument,
    ),

    kataMethod(
      'TtyWinResize',
      grpc.TtyWinResizeRequest,
      Empty,
      ({ containerId, execId, row, column }) => {
        sandbox.container(containerId).process(execId).resize(cells('row', row), cells('column', column));
        return {};
      },
      asArgument,
    ),
  ];
}

/** The kernel holds 16 bits (man 4 tty_ioctl, struct winsize). */
function cells(field: string, value: number): number {
  if (value <= 0xffff) return value;
  throw new AgentError('invalid_argument', `${field} ${value} is above 65535`, { fields: { field } });
}

/** A signal to one process names an unknown container as a wrong argument; a kill of everything does not (§3.0). */
function addressed(sandbox: Sandbox, containerId: string) {
  try {
    return sandbox.container(containerId);
  } catch (error) {
    throw new AgentError('invalid_argument', `Invalid container id: container \`${containerId}\` not found`, { cause: error });
  }
}
