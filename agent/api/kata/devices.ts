// Kata's Device messages to the core's.
import type { grpc } from '#proto/kata.js';
import type { DeviceRequest } from '../../container/device/device.ts';

export function toDevices(devices: readonly grpc.Device.$Properties[]): DeviceRequest[] {
  return devices.map(({ type, id, vmPath, containerPath, options }) => ({
    type: type ?? '',
    id: id ?? '',
    vmPath: vmPath ?? '',
    containerPath: containerPath ?? '',
    options: options ?? [],
  }));
}
