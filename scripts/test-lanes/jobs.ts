// Which spec files of test/vm run together in one mocha: a file that takes long is alone, so that it can begin first; the others
// go a few to a run, which boots the guest they share once.

/** Seconds on two cores, measured; only their order matters. A file that is not here is short. */
export const LONG_FILES: Readonly<Record<string, number>> = {
  'emulated-host.spec.ts': 320,
  'conformance.spec.ts': 290,
  'check-under-load.spec.ts': 95,
  'container-cycles.spec.ts': 85,
  'agent-death.spec.ts': 80,
  'fault-points.spec.ts': 75,
  'serial.spec.ts': 60,
  'kata-images.spec.ts': 57,
  'exhaustion.spec.ts': 50,
  'fair-clients.spec.ts': 50,
};
const FILES_IN_A_RUN = 5;

/** @param names spec files of one folder @returns runs in the order in which they should begin */
export function planRuns(names: readonly string[], long = LONG_FILES): string[][] {
  const seconds = (name: string) => long[name] ?? 0;
  const alone = names.filter((name) => seconds(name) > 0).toSorted((a, b) => seconds(b) - seconds(a));
  const others = names.filter((name) => seconds(name) === 0).toSorted();
  const runs = alone.map((name) => [name]);
  for (let at = 0; at < others.length; at += FILES_IN_A_RUN) runs.push(others.slice(at, at + FILES_IN_A_RUN));
  return runs;
}
