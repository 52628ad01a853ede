// A process that crun is to start, a container's init or an exec: what would fail late or mean something else is told now.
import type { OnDropped } from './context.ts';
import { checkAbsolutePath, isProcessLink } from './paths.ts';
import { quote, refuse } from './refusal.ts';
import type { ProcessSpec, RlimitSpec } from './types.ts';

/** A terminal's size is 16 bits wide (man 2 TIOCSWINSZ). */
const MAX_CELLS = 0xffff;

/** @throws invalid_argument naming the field below `field` */
export function prepareProcess(process: ProcessSpec, field: string, onDropped: OnDropped): ProcessSpec {
  const { apparmorProfile, selinuxLabel, consoleSize, ...kept } = process;
  if (process.args.length === 0 || process.args[0] === '') refuse(`${field}.args`, 'names no program');
  // No policy of either is loaded in the guest, and Kata's agent applies neither there.
  if (apparmorProfile !== undefined) onDropped(`${field}.apparmorProfile`, 'the guest has no AppArmor profiles');
  if (selinuxLabel !== undefined) onDropped(`${field}.selinuxLabel`, 'the guest has no SELinux policy');
  checkRlimits(process.rlimits ?? [], `${field}.rlimits`);
  return {
    ...kept,
    cwd: prepareCwd(process.cwd, `${field}.cwd`),
    consoleSize: consoleSize && {
      height: Math.min(consoleSize.height, MAX_CELLS),
      width: Math.min(consoleSize.width, MAX_CELLS),
    },
  };
}

function prepareCwd(cwd: string, field: string): string {
  if (cwd === '') return '/';
  const normal = checkAbsolutePath(cwd, field);
  // A leaked directory of the runtime would be entered here (CVE-2024-21626).
  if (isProcessLink(normal)) refuse(field, `${quote(cwd)} leads into another process`);
  return normal;
}

function checkRlimits(rlimits: readonly RlimitSpec[], field: string): void {
  const seen = new Set<string>();
  rlimits.forEach(({ type, soft, hard }, index) => {
    if (seen.has(type)) refuse(`${field}[${index}].type`, `${type} is listed twice`);
    if (soft > hard) refuse(`${field}[${index}].soft`, `${soft} is above the hard limit ${hard}`);
    seen.add(type);
  });
}
