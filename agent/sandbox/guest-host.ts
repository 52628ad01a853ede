// What calls on the guest itself need, given by the composition root.
import type { Native } from '../../native/index.ts';
import type { SharedMounts } from '../container/storage/shared-mounts.ts';
import type { VolumeStatsReader } from '../container/storage/volume-stats.ts';
import type { DeviceHost } from '../guest/devices/wait-for-device.ts';
import type { FileCopier } from '../guest/files/file-copier.ts';
import type { GuestMetrics } from '../guest/metrics/metrics.ts';

export interface GuestHost extends DeviceHost {
  readonly door: Pick<Native, 'mount' | 'umount' | 'growXfs' | 'setTimeOfDay' | 'addEntropy' | 'swapOn'>;
  readonly sharedMounts: SharedMounts;
  readonly files: FileCopier;
  readonly volumes: VolumeStatsReader;
  readonly metrics: GuestMetrics;
  /** Told when the machine has more memory than before. */
  readonly memoryResized: () => void;
}
