// The root file systems that the project's image build makes for containers, and where a VM with them has them.
import { join } from 'node:path';
import type { Disk } from './vm/options.ts';
import { projectRoot } from './vm/project-root.ts';

/** File names of the image build, in the order in which the VM gets them. */
const ROOTS: readonly string[] = ['busybox', 'debian'];

/** Read-only disks for `bootGuest`, after the guest's own root. */
export function rootDisks(): Disk[] {
  const folder = process.env['BERTH_IMAGE_DIR'] ?? join(projectRoot, 'build/image');
  return ROOTS.map((name) => ({ path: join(folder, `${name}.erofs`), readonly: true, serial: name }));
}

/**
 * Device of each named disk in the guest. The guest's root is /dev/vda, the others follow in the order given.
 * A disk is named by its serial.
 */
export function diskDevices(disks: readonly Disk[]): Record<string, string> {
  const devices: Record<string, string> = {};
  for (const [index, { serial }] of disks.entries()) {
    if (serial !== undefined) devices[serial] = `/dev/vd${String.fromCharCode('b'.charCodeAt(0) + index)}`;
  }
  return devices;
}
