// From the spec a client asks for to the one crun is given (kata-agent.md §5.2-5.4, §9.2): pure, values in, a value out.
// crun trusts its config.json, so what is not safe or can't work on cgroup v2 ends here.
import { prepareAnnotations } from './annotations.ts';
import { prepareCgroupsPath } from './cgroups-path.ts';
import type { OnDropped, PrepareContext } from './context.ts';
import { prepareDeviceRules, prepareDevices } from './devices.ts';
import { prepareHooks, withGuestHooks } from './hooks.ts';
import { prepareLimits } from './limits.ts';
import { prepareMounts } from './mounts.ts';
import { prepareNamespaces } from './namespaces.ts';
import { checkAbsolutePath } from './paths.ts';
import { prepareSeccomp } from './prepare-seccomp.ts';
import { prepareProcess } from './process.ts';
import { quote, refuse } from './refusal.ts';
import type { ResourcesSpec } from './resources.ts';
import { checkSysctls } from './sysctl.ts';
import type { LinuxSpec, NamespaceSpec, ProcessSpec, RuntimeSpec } from './types.ts';

export type { PrepareContext } from './context.ts';

/** config-linux.md, "Rootfs Mount Propagation". */
const PROPAGATIONS: ReadonlySet<string> = new Set(
  ['shared', 'slave', 'private', 'unbindable'].flatMap((mode) => [mode, `r${mode}`]),
);

const ignore: OnDropped = () => {};

/** @throws invalid_argument naming the field by its path in config.json, such as `linux.namespaces[2].path` */
export function prepareSpec(spec: RuntimeSpec, context: PrepareContext): RuntimeSpec {
  const onDropped = context.onDropped ?? ignore;
  const namespaces = prepareNamespaces(spec.linux, context);
  return {
    ociVersion: spec.ociVersion,
    process: prepareProcess(spec.process, 'process', onDropped),
    root: { ...spec.root, path: context.bundleRootfs },
    hostname: prepareHostname(spec.hostname, namespaces),
    mounts: prepareMounts(spec.mounts, context),
    hooks: withGuestHooks(prepareHooks(spec.hooks, context.allowGuestHooks ?? false), context.guestHooks),
    annotations: prepareAnnotations(spec.annotations, onDropped),
    linux: prepareLinux(spec.linux, namespaces, context, onDropped),
  };
}

/** For `crun exec`. @throws invalid_argument naming the field below `process` */
export function prepareExec(process: ProcessSpec, onDropped: OnDropped = ignore): ProcessSpec {
  return prepareProcess(process, 'process', onDropped);
}

/** For `crun update` of a container made from `spec`. Device rules stay as they are when none is given. @throws invalid_argument */
export function prepareUpdate(resources: ResourcesSpec, spec: RuntimeSpec, onDropped: OnDropped = ignore): ResourcesSpec {
  const devices =
    resources.devices === undefined ? undefined : prepareDeviceRules(resources.devices, spec.linux.devices, onDropped);
  return { devices, ...prepareLimits(resources, 'resources', onDropped) };
}

function prepareLinux(linux: LinuxSpec, namespaces: NamespaceSpec[], context: PrepareContext, onDropped: OnDropped): LinuxSpec {
  checkSysctls(linux.sysctl, namespaces);
  const { rootfsPropagation } = linux;
  if (rootfsPropagation !== undefined && !PROPAGATIONS.has(rootfsPropagation)) {
    refuse('linux.rootfsPropagation', `${quote(rootfsPropagation)} is no mount propagation`);
  }
  if (linux.mountLabel !== undefined) onDropped('linux.mountLabel', 'the guest has no SELinux policy');
  if (linux.intelRdt !== undefined) onDropped('linux.intelRdt', 'the guest has no resctrl file system');
  const devices = prepareDevices(linux.devices);
  return {
    uidMappings: linux.uidMappings,
    gidMappings: linux.gidMappings,
    sysctl: linux.sysctl,
    resources: {
      devices: prepareDeviceRules(linux.resources?.devices, devices, onDropped),
      ...prepareLimits(linux.resources ?? {}, 'linux.resources', onDropped),
    },
    cgroupsPath: prepareCgroupsPath(linux.cgroupsPath, context.containerId, context.cgroupParent),
    namespaces,
    devices,
    seccomp: prepareSeccomp(linux.seccomp),
    rootfsPropagation,
    maskedPaths: checkPaths(linux.maskedPaths, 'linux.maskedPaths'),
    readonlyPaths: checkPaths(linux.readonlyPaths, 'linux.readonlyPaths'),
  };
}

/** In the sandbox's uts namespace the name is the sandbox's: setting it again would rename every container of the pod. */
function prepareHostname(hostname: string | undefined, namespaces: readonly NamespaceSpec[]): string | undefined {
  if (hostname === undefined) return undefined;
  const uts = namespaces.find(({ type }) => type === 'uts');
  if (uts === undefined) refuse('hostname', 'needs a uts namespace');
  return uts.path === undefined ? hostname : undefined;
}

function checkPaths(paths: readonly string[] | undefined, field: string): string[] | undefined {
  return paths?.map((path, index) => checkAbsolutePath(path, `${field}[${index}]`));
}
