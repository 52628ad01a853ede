// grpc.Spec (proto/kata/oci.proto) -> RuntimeSpec: one place where the message's meaning becomes config.json's.
// Nothing is decided here, only converted; what crun may be given is prepare.ts's business.
import type { grpc } from '#proto/kata.js';
import { refuse } from '../../container/spec/refusal.ts';
import { HOOK_KINDS, type HookSpec, type HooksSpec, type MountSpec, type RuntimeSpec } from '../../container/spec/types.ts';
import { list, optionalList, optionalMap, optionalText, optionalTexts, smallInt, text, texts } from './oci-field.ts';
import { toLinux } from './oci-linux.ts';
import { toProcessSpec } from './oci-process.ts';

/** Written when the client names none. */
const DEFAULT_OCI_VERSION = '1.0.2';
/** A hook may take an hour; crun holds the number as an int. */
const MAX_HOOK_SECONDS = 3600;

/**
 * @param field path of the message in its request, for errors
 * @throws invalid_argument naming the field, such as `OCI.Process.Capabilities.Bounding[3]`
 */
export function toRuntimeSpec(spec: grpc.Spec.$Shape | null | undefined, field = 'OCI'): RuntimeSpec {
  if (!spec) refuse(field, 'is missing');
  if (!spec.Process) refuse(`${field}.Process`, 'is missing');
  if (!spec.Root) refuse(`${field}.Root`, 'is missing');
  if (!spec.Linux) refuse(`${field}.Linux`, 'is missing');
  return {
    ociVersion: text(spec.Version, `${field}.Version`) || DEFAULT_OCI_VERSION,
    process: toProcessSpec(spec.Process, `${field}.Process`),
    root: { path: text(spec.Root.Path, `${field}.Root.Path`), readonly: spec.Root.Readonly || undefined },
    hostname: optionalText(spec.Hostname, `${field}.Hostname`),
    mounts: list(spec.Mounts, `${field}.Mounts`, toMount),
    hooks: spec.Hooks ? toHooks(spec.Hooks, `${field}.Hooks`) : undefined,
    annotations: optionalMap(spec.Annotations, `${field}.Annotations`),
    linux: toLinux(spec.Linux, `${field}.Linux`),
  };
}

function toMount(mount: grpc.Mount.$Shape, field: string): MountSpec {
  return {
    destination: text(mount.destination, `${field}.destination`),
    type: optionalText(mount.type, `${field}.type`),
    source: optionalText(mount.source, `${field}.source`),
    options: optionalTexts(mount.options, `${field}.options`),
  };
}

function toHooks(hooks: grpc.Hooks.$Shape, field: string): HooksSpec | undefined {
  const kinds = {
    prestart: hooks.Prestart,
    createRuntime: hooks.CreateRuntime,
    createContainer: hooks.CreateContainer,
    startContainer: hooks.StartContainer,
    poststart: hooks.Poststart,
    poststop: hooks.Poststop,
  };
  const converted: HooksSpec = {};
  for (const kind of HOOK_KINDS) {
    const hookField = `${field}.${kind[0]?.toUpperCase()}${kind.slice(1)}`;
    const entries = optionalList(kinds[kind], hookField, toHook);
    if (entries) converted[kind] = entries;
  }
  return Object.keys(converted).length > 0 ? converted : undefined;
}

function toHook(hook: grpc.Hook.$Shape, field: string): HookSpec {
  const args = texts(hook.Args, `${field}.Args`);
  return {
    path: text(hook.Path, `${field}.Path`),
    args: args.length > 0 ? args : undefined,
    env: optionalTexts(hook.Env, `${field}.Env`),
    // config.md: "MUST be greater than zero"; on the wire 0 is no limit.
    timeout: smallInt(hook.Timeout, `${field}.Timeout`, 0, MAX_HOOK_SECONDS) || undefined,
  };
}

export { toProcessSpec } from './oci-process.ts';
export { toResources } from './oci-resources.ts';
