// Where tests let the agent die: a labelled point in the middle of something. The bundle that is shipped has none of it.

declare const BERTH_FAULT_POINTS: boolean | undefined;

/** Dies of SIGKILL at the label that BERTH_FAULT_POINT names, the first time it comes there. */
export function faultPoint(label: string): void {
  if (typeof BERTH_FAULT_POINTS === 'boolean' && !BERTH_FAULT_POINTS) return;
  if (process.env['BERTH_FAULT_POINT'] === label && process.env['BERTH_GENERATION'] === '1') process.kill(process.pid, 'SIGKILL');
}
