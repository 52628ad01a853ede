// Where tests let the agent die: a labelled point in the middle of something. The bundle that is shipped has none of it.
import { readFileSync, unlinkSync } from 'node:fs';

/** Path of the file that names a label; false in the bundle that is shipped, undefined in the sources. */
declare const BERTH_FAULT_POINTS: string | false | undefined;

/** Dies of SIGKILL when a file says the label (the bundle's own, or BERTH_FAULT_POINT_FILE), and takes the file away: it dies once. */
export function faultPoint(label: string): void {
  if (typeof BERTH_FAULT_POINTS === 'boolean') return;
  const file = typeof BERTH_FAULT_POINTS === 'string' ? BERTH_FAULT_POINTS : process.env['BERTH_FAULT_POINT_FILE'];
  if (file === undefined || !says(file, label)) return;
  unlinkSync(file);
  process.kill(process.pid, 'SIGKILL');
}

function says(file: string, label: string): boolean {
  try {
    return readFileSync(file, 'utf8') === label;
  } catch {
    return false;
  }
}
