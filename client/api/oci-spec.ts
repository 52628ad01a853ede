// The default spec as an OCI config.json, numbers exact.
import type { grpc } from '#proto/kata.js';
import { defaultSpec, type SpecOptions } from '../default-spec.ts';

/** What berth.v1 takes as `spec_json`. */
export function specJson(options: SpecOptions): string {
  return stringify(toOci(defaultSpec(options)));
}

/** Kata's messages name the fields of the specification with other letters; `defaultSpec` fills in no more than these. */
function toOci({ Version, Process, Root, Hostname, Mounts, Annotations, Linux }: grpc.ISpec): object {
  return {
    ociVersion: Version,
    process: Process && toProcess(Process),
    root: { path: Root?.Path, readonly: Root?.Readonly },
    ...(Hostname === '' ? {} : { hostname: Hostname }),
    mounts: Mounts?.map(({ destination, source, type, options }) => ({ destination, source, type, options })),
    annotations: Annotations,
    linux: {
      namespaces: Linux?.Namespaces?.map(({ Type }) => ({ type: Type })),
      resources: toResources(Linux?.Resources ?? {}),
      maskedPaths: Linux?.MaskedPaths,
      readonlyPaths: Linux?.ReadonlyPaths,
    },
  };
}

function toProcess({
  Terminal,
  ConsoleSize,
  User,
  Args,
  Env,
  Cwd,
  Capabilities,
  Rlimits,
  NoNewPrivileges,
}: grpc.IProcess): object {
  return {
    terminal: Terminal,
    ...(ConsoleSize ? { consoleSize: { height: ConsoleSize.Height, width: ConsoleSize.Width } } : {}),
    user: { uid: User?.UID, gid: User?.GID, additionalGids: User?.AdditionalGids },
    args: Args,
    env: Env,
    cwd: Cwd,
    capabilities: {
      bounding: Capabilities?.Bounding,
      effective: Capabilities?.Effective,
      permitted: Capabilities?.Permitted,
    },
    rlimits: Rlimits?.map(({ Type, Hard, Soft }) => ({ type: Type, hard: Hard, soft: Soft })),
    noNewPrivileges: NoNewPrivileges,
  };
}

function toResources({ Devices, Memory, CPU, Pids }: grpc.ILinuxResources): object {
  return {
    devices: Devices?.map(({ Allow, Type, Access }) => ({ allow: Allow, type: Type, access: Access })),
    ...(Memory ? { memory: { limit: Memory.Limit } } : {}),
    ...(CPU ? { cpu: { quota: CPU.Quota, period: CPU.Period } } : {}),
    ...(Pids ? { pids: { limit: Pids.Limit } } : {}),
  };
}

/** JSON.stringify knows no bigint; a placeholder of its own kind is put back as the bare number. */
function stringify(value: object): string {
  const mark = '\u0000bigint:';
  const text = JSON.stringify(value, (_key, member: unknown) => (typeof member === 'bigint' ? `${mark}${member}` : member));
  return text.replaceAll(/"\\u0000bigint:(-?\d+)"/g, '$1');
}
