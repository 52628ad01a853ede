// Keeps crun from mixing one container's system call filter up with another's.
import { stringifySpec } from './json.ts';
import type { SeccompSpec } from './seccomp.ts';

/**
 * crun 1.28 keeps compiled filters by a checksum that leaves out errnoRet and where one list ends and the next begins, so a
 * container could get the filter of another. A rule that does what is done anyway adds no instruction, but its name is part
 * of the checksum: here it says all that the filter says.
 */
export function prepareSeccomp(seccomp: SeccompSpec | undefined): SeccompSpec | undefined {
  if (seccomp === undefined) return undefined;
  const whole = { names: [`berth:${stringifySpec(seccomp)}`], action: seccomp.defaultAction };
  return { ...seccomp, syscalls: [...(seccomp.syscalls ?? []), whole] };
}
