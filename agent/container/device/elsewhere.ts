// Kinds of device that only IBM Z has: channel devices and crypto adapters.
import { AgentError } from '../../errors.ts';
import type { DeviceKind } from './device.ts';

export const blkCcw = onlyOnS390x('CCW is only supported on s390x');
export const vfioAp = onlyOnS390x('VFIO-AP is only supported on s390x');

function onlyOnS390x(reason: string): DeviceKind {
  return {
    find: async ({ type }, _host, field) => {
      throw new AgentError('unimplemented', `${field}: ${reason}`, { fields: { field: `${field}.type`, type } });
    },
  };
}
