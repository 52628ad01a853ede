// grpc.Linux -> LinuxSpec.
import type { grpc } from '#proto/kata.js';
import { quote, refuse } from '../../container/spec/refusal.ts';
import {
  type DeviceSpec,
  type IdMappingSpec,
  type LinuxSpec,
  NAMESPACE_TYPES,
  type NamespaceSpec,
  type NamespaceType,
} from '../../container/spec/types.ts';
import { list, optionalList, optionalMap, optionalText, optionalTexts, smallInt, text, word } from './oci-field.ts';
import { MAX_MAJOR, MAX_MINOR, toResources } from './oci-resources.ts';
import { toSeccomp } from './oci-seccomp.ts';

const NAMESPACES: ReadonlySet<string> = new Set(NAMESPACE_TYPES);

/** @throws invalid_argument naming the field */
export function toLinux(linux: grpc.Linux.$Shape, field: string): LinuxSpec {
  const schema = optionalText(linux.IntelRdt?.L3CacheSchema, `${field}.IntelRdt.L3CacheSchema`);
  return {
    uidMappings: optionalList(linux.UIDMappings, `${field}.UIDMappings`, toIdMapping),
    gidMappings: optionalList(linux.GIDMappings, `${field}.GIDMappings`, toIdMapping),
    sysctl: optionalMap(linux.Sysctl, `${field}.Sysctl`),
    resources: linux.Resources ? toResources(linux.Resources, `${field}.Resources`) : undefined,
    cgroupsPath: optionalText(linux.CgroupsPath, `${field}.CgroupsPath`),
    namespaces: list(linux.Namespaces, `${field}.Namespaces`, toNamespace),
    devices: optionalList(linux.Devices, `${field}.Devices`, toDevice),
    seccomp: linux.Seccomp ? toSeccomp(linux.Seccomp, `${field}.Seccomp`) : undefined,
    rootfsPropagation: optionalText(linux.RootfsPropagation, `${field}.RootfsPropagation`),
    maskedPaths: optionalTexts(linux.MaskedPaths, `${field}.MaskedPaths`),
    readonlyPaths: optionalTexts(linux.ReadonlyPaths, `${field}.ReadonlyPaths`),
    mountLabel: optionalText(linux.MountLabel, `${field}.MountLabel`),
    intelRdt: schema === undefined ? undefined : { l3CacheSchema: schema },
  };
}

function toIdMapping(mapping: grpc.LinuxIDMapping.$Shape): IdMappingSpec {
  return { hostID: mapping.HostID ?? 0, containerID: mapping.ContainerID ?? 0, size: mapping.Size ?? 0 };
}

function toNamespace(namespace: grpc.LinuxNamespace.$Shape, field: string): NamespaceSpec {
  return {
    type: word(namespace.Type, NAMESPACES, `${field}.Type`, 'namespace type') as NamespaceType,
    path: optionalText(namespace.Path, `${field}.Path`),
  };
}

function toDevice(device: grpc.LinuxDevice.$Shape, field: string): DeviceSpec {
  const type = device.Type ?? '';
  if (type !== 'c' && type !== 'u' && type !== 'b' && type !== 'p') refuse(`${field}.Type`, `unknown device type ${quote(type)}`);
  // A fifo has no numbers; for the others 0 is a number like any other.
  const numbers =
    type === 'p'
      ? {}
      : {
          major: smallInt(device.Major, `${field}.Major`, 0, MAX_MAJOR),
          minor: smallInt(device.Minor, `${field}.Minor`, 0, MAX_MINOR),
        };
  return {
    path: text(device.Path, `${field}.Path`),
    type,
    ...numbers,
    fileMode: device.FileMode || undefined,
    uid: device.UID ?? 0,
    gid: device.GID ?? 0,
  };
}
