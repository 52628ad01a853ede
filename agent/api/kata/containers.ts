// Kata's RPCs on whole containers: make, start, remove, limits, figures, freeze.
import { google, grpc } from '#proto/kata.js';
import { AgentError } from '../../errors.ts';
import type { Method } from '../../rpc/service.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { toDevices } from './devices.ts';
import { kataMethod } from './method.ts';
import { toResources, toRuntimeSpec } from './oci-spec.ts';
import { type Passfd, withPassed } from './passfd.ts';
import { toStatsResponse } from './stats.ts';
import { toCopiedMounts, toStorages } from './storages.ts';

const { Empty } = google.protobuf;
const asArgument = { unknownContainer: 'invalid_argument' } as const;

export function containerMethods(sandbox: Sandbox, passfd?: Passfd): Method[] {
  return [
    kataMethod(
      'CreateContainer',
      grpc.CreateContainerRequest,
      Empty,
      async (request) => {
        checkPresent(request.OCI);
        const options = {
          id: request.containerId,
          spec: toRuntimeSpec(request.OCI),
          storages: toStorages(request.storages),
          devices: toDevices(request.devices),
          sandboxPidns: request.sandboxPidns,
          copiedMounts: toCopiedMounts(request.sharedMounts),
        };
        await withPassed(passfd, request, (passed) => sandbox.createContainer({ ...options, passed }));
        return {};
      },
      { badContainerId: 'internal' },
    ),

    kataMethod('StartContainer', grpc.StartContainerRequest, Empty, async ({ containerId }) => {
      await sandbox.alone(containerId, (container) => container.start());
      return {};
    }),

    kataMethod('RemoveContainer', grpc.RemoveContainerRequest, Empty, async ({ containerId, timeout }) => {
      const removal = sandbox.removeContainer(containerId);
      await (timeout > 0 ? withinSeconds(removal, timeout, containerId) : removal);
      return {};
    }),

    kataMethod(
      'UpdateContainer',
      grpc.UpdateContainerRequest,
      Empty,
      async ({ containerId, resources }) => {
        const wanted = resources ? toResources(resources) : undefined;
        await sandbox.alone(containerId, async (container) => {
          if (wanted !== undefined) await container.update(wanted);
        });
        return {};
      },
      asArgument,
    ),

    // Not behind the gate: figures never wait for a removal or a slow start.
    kataMethod(
      'StatsContainer',
      grpc.StatsContainerRequest,
      grpc.StatsContainerResponse,
      async ({ containerId }) => toStatsResponse(await sandbox.container(containerId).stats()),
      asArgument,
    ),

    kataMethod(
      'PauseContainer',
      grpc.PauseContainerRequest,
      Empty,
      async ({ containerId }) => {
        await sandbox.alone(containerId, (container) => container.pause());
        return {};
      },
      asArgument,
    ),

    kataMethod(
      'ResumeContainer',
      grpc.ResumeContainerRequest,
      Empty,
      async ({ containerId }) => {
        await sandbox.alone(containerId, (container) => container.resume());
        return {};
      },
      asArgument,
    ),
  ];
}

/** What Kata itself answers with EINVAL; every other fault of the spec is named by its conversion. */
function checkPresent(spec: grpc.Spec.$Properties | null | undefined): void {
  const missing = !spec ? 'OCI' : !spec.Process ? 'OCI.Process' : !spec.Root ? 'OCI.Root' : undefined;
  if (missing === undefined) return;
  throw new AgentError('internal', `EINVAL: Invalid argument: ${missing} is missing`, { fields: { field: missing } });
}

/** The removal goes on after the time; only its caller stops waiting (kata-agent.md §3.5). */
async function withinSeconds(removal: Promise<void>, seconds: number, containerId: string): Promise<void> {
  const { promise: elapsed, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () =>
      reject(
        new AgentError('internal', `ETIME: Timer expired: container ${containerId} is not removed after ${seconds} s`, {
          fields: { container: containerId },
        }),
      ),
    // setTimeout takes 31 bits of milliseconds; what is longer might as well be that.
    Math.min(seconds * 1000, 2 ** 31 - 1),
  );
  await Promise.race([removal, elapsed]).finally(() => clearTimeout(timer));
}
