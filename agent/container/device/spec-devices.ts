// Puts the guest's numbers where a spec has the host's: in `linux.devices` and in the device rules. Pure.
import { posix } from 'node:path';
import { refuse } from '../spec/refusal.ts';
import type { DeviceRuleSpec } from '../spec/resources.ts';
import type { DeviceSpec, RuntimeSpec } from '../spec/types.ts';
import type { DeviceNode } from './device.ts';
import { translatePciEnv } from './pci-env.ts';

/** A device that is there, by the path the spec lists it at. */
export interface PlacedDevice {
  readonly containerPath: string;
  readonly node: DeviceNode;
}

interface Renumbered {
  readonly before: DeviceSpec;
  readonly node: DeviceNode;
}

/** The spec as the guest numbers its devices, the variables that name them included. @throws as its two parts */
export function inGuestNumbers(
  spec: RuntimeSpec,
  { placed, guestAddresses }: { placed: readonly PlacedDevice[]; guestAddresses: ReadonlyMap<string, string> },
): RuntimeSpec {
  const env = translatePciEnv(spec.process.env, guestAddresses);
  return withDevices({ ...spec, process: { ...spec.process, env } }, placed);
}

/**
 * A rule about a renumbered device is about its new number then; a device that no rule speaks of gets one when the spec is
 * prepared (spec/devices.ts).
 * @throws invalid_argument when the spec does not list a device, or one path is given two
 */
export function withDevices(spec: RuntimeSpec, placed: readonly PlacedDevice[]): RuntimeSpec {
  if (placed.length === 0) return spec;
  const nodes = byPath(placed);
  const renumbered: Renumbered[] = [];
  const devices = (spec.linux.devices ?? []).map((device): DeviceSpec => {
    const path = posix.normalize(device.path);
    const node = nodes.get(path);
    if (node === undefined) return device;
    nodes.delete(path);
    renumbered.push({ before: device, node });
    return { ...device, path: node.path ?? device.path, type: node.type, major: node.major, minor: node.minor };
  });
  if (nodes.size > 0) refuse('linux.devices', `Missing devices in OCI spec: ${[...nodes.keys()].join(', ')}`);
  const { resources } = spec.linux;
  const rules = resources?.devices?.map((rule, index) => renumberRule(rule, renumbered, index));
  return {
    ...spec,
    linux: { ...spec.linux, devices, resources: rules === undefined ? resources : { ...resources, devices: rules } },
  };
}

function byPath(placed: readonly PlacedDevice[]): Map<string, DeviceNode> {
  const nodes = new Map<string, DeviceNode>();
  for (const { containerPath, node } of placed) {
    const path = posix.normalize(containerPath);
    if (nodes.has(path)) refuse('devices', `Conflicting device updates for ${path}`);
    nodes.set(path, node);
  }
  return nodes;
}

function renumberRule(rule: DeviceRuleSpec, renumbered: readonly Renumbered[], index: number): DeviceRuleSpec {
  const meant = renumbered.filter(({ before }) => speaksOf(rule, before));
  const [first] = meant;
  if (first === undefined) return rule;
  const { type, major, minor } = first.node;
  if (meant.some(({ node }) => node.major !== major || node.minor !== minor)) {
    const { before } = first;
    refuse(
      `linux.resources.devices[${index}]`,
      `Conflicting resource updates for host_major=${before.major} host_minor=${before.minor}`,
    );
  }
  return { ...rule, type, major, minor };
}

/** Of this one device: on the wire minor 0 looks like any minor, and beside a listed node 0 it means that. */
function speaksOf(rule: DeviceRuleSpec, device: DeviceSpec): boolean {
  const type = device.type === 'u' ? 'c' : device.type;
  return (
    rule.type === type && rule.major !== undefined && rule.major === device.major && (rule.minor ?? 0) === (device.minor ?? 0)
  );
}
