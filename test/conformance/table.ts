// The whole table: every case, and what has no case for a reason.
import type { ConformanceCase, Exemption } from './case.ts';
import { containerSpec } from './cases/container-spec.ts';
import { containers } from './cases/containers.ts';
import { defaultBuild } from './cases/default-build.ts';
import { devices } from './cases/devices.ts';
import { exec } from './cases/exec.ts';
import { files } from './cases/files.ts';
import { guest } from './cases/guest.ts';
import { health } from './cases/health.ts';
import { interfaces } from './cases/interfaces.ts';
import { packetFilter } from './cases/packet-filter.ts';
import { processes } from './cases/processes.ts';
import { resources } from './cases/resources.ts';
import { routes } from './cases/routes.ts';
import { sandbox } from './cases/sandbox.ts';
import { sharedStorages } from './cases/shared-storages.ts';
import { stdio } from './cases/stdio.ts';
import { storages } from './cases/storages.ts';
import { volumes } from './cases/volumes.ts';

export const CASES: readonly ConformanceCase[] = [
  ...health,
  ...sandbox,
  ...containers,
  ...containerSpec,
  ...storages,
  ...sharedStorages,
  ...devices,
  ...exec,
  ...processes,
  ...stdio,
  ...resources,
  ...interfaces,
  ...routes,
  ...packetFilter,
  ...guest,
  ...files,
  ...volumes,
  ...defaultBuild,
];

/** No RPC may lack a kind of case unless it is named here with the reason. */
export const EXEMPTIONS: readonly Exemption[] = [
  {
    rpc: 'AddSwap',
    kind: 'normal',
    because:
      'needs a disk prepared by mkswap on the PCI bus; AddSwapPath shows the swapping, add-swap/a-disk-that-is-no-swap the finding',
  },
];
