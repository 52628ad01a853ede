// Kata's RPCs on volumes, and on what a container leaves in one.
import { google, grpc } from '#proto/kata.js';
import { resizeVolume } from '../../container/storage/volume-resize.ts';
import type { VolumeUse } from '../../container/storage/volume-stats.ts';
import { readTerminationLog } from '../../container/termination-log.ts';
import { AgentError } from '../../errors.ts';
import type { Method } from '../../rpc/service.ts';
import type { GuestHost } from '../../sandbox/guest-host.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { kataMethod } from './method.ts';

const { Empty } = google.protobuf;
const rules = { systemError: 'internal' } as const;
const { Unit } = grpc.VolumeUsage;
const TERMINATION_LOG = 'termination_log';

export function volumeMethods(host: GuestHost, sandbox: Pick<Sandbox, 'container'>): Method[] {
  return [
    kataMethod(
      'GetVolumeStats',
      grpc.VolumeStatsRequest,
      grpc.VolumeStatsResponse,
      async ({ volumeGuestPath }) => {
        const { bytes, inodes } = await host.volumes.read(volumeGuestPath);
        return {
          usage: [toUsage(Unit.BYTES, bytes), toUsage(Unit.INODES, inodes)],
          volumeCondition: { abnormal: false, message: 'OK' },
        };
      },
      rules,
    ),

    kataMethod(
      'ResizeVolume',
      grpc.ResizeVolumeRequest,
      Empty,
      async ({ volumeGuestPath, size }) => {
        await resizeVolume(volumeGuestPath, size, host);
        return {};
      },
      rules,
    ),

    kataMethod(
      'GetDiagnosticData',
      grpc.GetDiagnosticDataRequest,
      grpc.GetDiagnosticDataResponse,
      async ({ logType, containerId }) => {
        if (logType !== TERMINATION_LOG) {
          const asked = logType.slice(0, 80);
          throw new AgentError('invalid_argument', `unsupported diagnostic log_type: ${asked}`, {
            fields: { field: 'log_type' },
          });
        }
        return { data: await readTerminationLog(sandbox.container(containerId).spec) };
      },
      rules,
    ),
  ];
}

function toUsage(unit: grpc.VolumeUsage.Unit, { total, available, used }: VolumeUse): grpc.VolumeUsage.$Shape {
  return { unit, total, available, used };
}
