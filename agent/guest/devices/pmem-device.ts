// Persistent memory that the host plugs in as an NVDIMM, by its node (`/dev/pmem0`).
import { checkDeviceNode, waitForNode } from './block-device.ts';
import { loadModules } from './kernel-driver.ts';
import type { DeviceHost } from './wait-for-device.ts';

const MODULES = ['nfit', 'nd_pmem'];

/** @throws invalid_argument for another path; deadline_exceeded */
export async function waitForPmem(path: string, host: DeviceHost, field: string): Promise<string> {
  const node = checkDeviceNode(path, host, field);
  await loadModules(MODULES, host.sysDir);
  return await waitForNode(node, host, field);
}
