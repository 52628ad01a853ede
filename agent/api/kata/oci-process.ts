// grpc.Process -> ProcessSpec: the init of a container, and every exec.
import type { grpc } from '#proto/kata.js';
import { capabilityName, RLIMITS } from '../../container/spec/names.ts';
import { quote, refuse } from '../../container/spec/refusal.ts';
import { CAPABILITY_SETS, type CapabilitiesSpec, type ProcessSpec, type RlimitSpec } from '../../container/spec/types.ts';
import { AgentError } from '../../errors.ts';
import { list, optionalList, optionalText, smallInt, text, texts, word } from './oci-field.ts';

/** What execve(2) would have to copy; the kernel's own limit is a quarter of the stack, 2 MiB. */
const MAX_ARGS_AND_ENV_BYTES = 2 * 1024 * 1024;

/**
 * @param field path of the message in its request, for errors
 * @throws invalid_argument naming the field; resource_exhausted for argv and env above 2 MiB
 */
export function toProcessSpec(process: grpc.Process.$Shape, field = 'process'): ProcessSpec {
  const args = texts(process.Args, `${field}.Args`);
  const env = texts(process.Env, `${field}.Env`);
  if (!args[0]) refuse(`${field}.Args`, 'names no program');
  checkSize([...args, ...env], `${field}.Args`);
  return {
    terminal: process.Terminal || undefined,
    consoleSize: toConsoleSize(process.ConsoleSize),
    user: {
      uid: process.User?.UID ?? 0,
      gid: process.User?.GID ?? 0,
      additionalGids: process.User?.AdditionalGids?.length ? [...process.User.AdditionalGids] : undefined,
    },
    args,
    env,
    cwd: text(process.Cwd, `${field}.Cwd`),
    capabilities: process.Capabilities ? toCapabilities(process.Capabilities, `${field}.Capabilities`) : undefined,
    rlimits: optionalList(process.Rlimits, `${field}.Rlimits`, toRlimit),
    noNewPrivileges: process.NoNewPrivileges || undefined,
    apparmorProfile: optionalText(process.ApparmorProfile, `${field}.ApparmorProfile`),
    oomScoreAdj: smallInt(process.OOMScoreAdj, `${field}.OOMScoreAdj`, -1000, 1000),
    selinuxLabel: optionalText(process.SelinuxLabel, `${field}.SelinuxLabel`),
  };
}

function checkSize(strings: readonly string[], field: string): void {
  // One byte for each terminating NUL.
  const bytes = strings.reduce((sum, string) => sum + Buffer.byteLength(string) + 1, 0);
  if (bytes <= MAX_ARGS_AND_ENV_BYTES) return;
  throw new AgentError(
    'resource_exhausted',
    `${field}: arguments and environment take ${bytes} of ${MAX_ARGS_AND_ENV_BYTES} bytes`,
    {
      fields: { field, limit: 'args-and-env-bytes', bytes: MAX_ARGS_AND_ENV_BYTES },
    },
  );
}

function toConsoleSize(box: grpc.Box.$Shape | null | undefined): ProcessSpec['consoleSize'] {
  if (!box?.Height || !box.Width) return undefined;
  return { height: box.Height, width: box.Width };
}

function toCapabilities(message: grpc.LinuxCapabilities.$Shape, field: string): CapabilitiesSpec {
  const named = {
    bounding: message.Bounding,
    effective: message.Effective,
    inheritable: message.Inheritable,
    permitted: message.Permitted,
    ambient: message.Ambient,
  };
  const converted = CAPABILITY_SETS.map((set) => {
    const setField = `${field}.${set[0]?.toUpperCase()}${set.slice(1)}`;
    return [set, [...new Set(list(named[set], setField, toCapability))]] as const;
  });
  return Object.fromEntries(converted) as CapabilitiesSpec;
}

function toCapability(name: string, field: string): string {
  return capabilityName(name) ?? refuse(field, `unknown capability ${quote(name)}`);
}

function toRlimit(rlimit: grpc.POSIXRlimit.$Shape, field: string): RlimitSpec {
  return {
    type: word(rlimit.Type, RLIMITS, `${field}.Type`, 'resource limit'),
    soft: rlimit.Soft ?? 0n,
    hard: rlimit.Hard ?? 0n,
  };
}
