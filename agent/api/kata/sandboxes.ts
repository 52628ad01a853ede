// Kata's RPCs on the sandbox as a whole.
import { google, grpc } from '#proto/kata.js';
import type { GuestDetails } from '../../guest/details.ts';
import type { Method } from '../../rpc/service.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { kataMethod } from './method.ts';
import { toStorages } from './storages.ts';

const { Empty } = google.protobuf;

export interface SandboxMethodOptions {
  sandbox: Sandbox;
  guestDetails(wanted: { memBlockSize: boolean; memHotplugProbe: boolean }): Promise<GuestDetails>;
}

export function sandboxMethods({ sandbox, guestDetails }: SandboxMethodOptions): Method[] {
  return [
    kataMethod('CreateSandbox', grpc.CreateSandboxRequest, Empty, async (request) => {
      await sandbox.create({
        id: request.sandboxId,
        hostname: request.hostname,
        dns: request.dns,
        guestHookPath: request.guestHookPath,
        storages: toStorages(request.storages),
        kernelModules: request.kernelModules.map(({ name, parameters }) => ({ name: name ?? '', parameters: parameters ?? [] })),
      });
      return {};
    }),

    kataMethod('DestroySandbox', grpc.DestroySandboxRequest, Empty, async () => {
      await sandbox.destroy();
      return {};
    }),

    kataMethod(
      'GetGuestDetails',
      grpc.GuestDetailsRequest,
      grpc.GuestDetailsResponse,
      async ({ memBlockSize, memHotplugProbe }) => {
        const details = await guestDetails({ memBlockSize, memHotplugProbe });
        return {
          memBlockSizeBytes: details.memBlockSizeBytes,
          supportMemHotplugProbe: details.supportMemHotplugProbe,
          agentDetails: details.agent,
        };
      },
    ),

    kataMethod('GetOOMEvent', grpc.GetOOMEventRequest, grpc.OOMEvent, async (_request, { signal }) => ({
      containerId: await sandbox.oom.next(signal),
    })),
  ];
}
