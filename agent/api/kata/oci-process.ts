// grpc.Process -> ProcessSpec: the init of a container, and every exec.
import type { grpc } from '#proto/kata.js';
import { checkArgsAndEnv } from '../../container/spec/args-and-env.ts';
import { capabilityName, RLIMITS } from '../../container/spec/names.ts';
import { quote, refuse } from '../../container/spec/refusal.ts';
import { CAPABILITY_SETS, type CapabilitiesSpec, type ProcessSpec, type RlimitSpec } from '../../container/spec/types.ts';
import { list, optionalList, optionalText, smallInt, text, texts, word } from './oci-field.ts';

/**
 * @param field path of the message in its request, for errors
 * @throws invalid_argument naming the field; resource_exhausted for argv and env above 2 MiB
 */
export function toProcessSpec(process: grpc.Process.$Shape, field = 'process'): ProcessSpec {
  const args = texts(process.Args, `${field}.Args`);
  const env = texts(process.Env, `${field}.Env`);
  if (!args[0]) refuse(`${field}.Args`, 'names no program');
  checkArgsAndEnv(args, env, `${field}.Args`);
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
