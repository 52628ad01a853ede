// Kind and numbers of a device node (man 3 makedev).
import { stat } from 'node:fs/promises';
import { AgentError, fromErrno } from '../../errors.ts';
import type { DeviceNode } from './device.ts';

/** @throws not_found; invalid_argument for what is no device */
export async function readNode(path: string): Promise<DeviceNode> {
  const status = await stat(path, { bigint: true }).catch((error: unknown) => {
    throw fromErrno(error, `look at the device ${path}`, { path });
  });
  const type = status.isBlockDevice() ? 'b' : status.isCharacterDevice() ? 'c' : undefined;
  if (type === undefined) throw new AgentError('invalid_argument', `${path} is no device`, { fields: { path } });
  return { type, ...splitNumber(status.rdev) };
}

/** As glibc packs them: up to 32 bits of each, in two pieces. */
export function splitNumber(device: bigint): { major: number; minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}
