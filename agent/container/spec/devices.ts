// Device nodes of a container and the rules that say which devices it can open.
import type { OnDropped } from './context.ts';
import { checkAbsolutePath, isWithin } from './paths.ts';
import { quote, refuse } from './refusal.ts';
import type { DeviceRuleSpec } from './resources.ts';
import type { DeviceSpec } from './types.ts';

/** Permission bits, set-id and sticky included. */
const MAX_FILE_MODE = 0o7777;

/** Nodes by path, the last of a path wins. @throws invalid_argument */
export function prepareDevices(devices: readonly DeviceSpec[] | undefined): DeviceSpec[] | undefined {
  const byPath = new Map<string, DeviceSpec>();
  (devices ?? []).forEach((device, index) => {
    const field = `linux.devices[${index}].path`;
    const path = checkAbsolutePath(device.path, field);
    if (path === '/' || isWithin(path, '/proc') || isWithin(path, '/sys'))
      refuse(field, `${quote(path)} is no place for a device`);
    const fileMode = device.fileMode === undefined ? undefined : device.fileMode & MAX_FILE_MODE;
    byPath.set(path, { ...device, path, fileMode });
  });
  return byPath.size > 0 ? [...byPath.values()] : undefined;
}

const DENY_ALL: DeviceRuleSpec = { allow: false, type: 'a', access: 'rwm' };

/**
 * Nothing first, then what the client's rules say, then each listed node that no rule speaks of: a host whose own agent
 * does not enforce rules sends none (kata-agent.md §5.4), and its containers must go on working.
 * crun itself adds the standard devices: null, zero, full, tty, random, urandom, console, ptmx, pts, tun.
 */
export function prepareDeviceRules(
  rules: readonly DeviceRuleSpec[] | undefined,
  nodes: readonly DeviceSpec[] | undefined,
  onDropped: OnDropped,
): DeviceRuleSpec[] {
  const asked = (rules ?? []).flatMap((rule, index) => {
    const exact = withExactMinor(rule, nodes ?? []);
    if (exact.access !== '') return exact;
    onDropped(`linux.resources.devices[${index}]`, 'it names no access');
    return [];
  });
  const unspoken = (nodes ?? []).filter((node) => node.type !== 'p' && !asked.some((rule) => names(rule, node)));
  return [
    DENY_ALL,
    ...asked,
    ...unspoken.map(
      ({ type, major, minor }): DeviceRuleSpec => ({ allow: true, type: type === 'b' ? 'b' : 'c', major, minor, access: 'rwm' }),
    ),
  ];
}

/**
 * On the wire minor 0 and "any minor" look the same. Beside a listed node with that number it means the node: `b 254:*` would
 * open every disk of the guest where `/dev/vda` was asked for.
 */
function withExactMinor(rule: DeviceRuleSpec, nodes: readonly DeviceSpec[]): DeviceRuleSpec {
  if (rule.major === undefined || rule.minor !== undefined || !rule.allow) return rule;
  const named = nodes.some((node) => node.minor === 0 && node.major === rule.major && sameKind(rule, node));
  return named ? { ...rule, minor: 0 } : rule;
}

function names(rule: DeviceRuleSpec, node: DeviceSpec): boolean {
  return rule.major === node.major && rule.minor === node.minor && sameKind(rule, node);
}

function sameKind(rule: DeviceRuleSpec, node: DeviceSpec): boolean {
  return rule.type === (node.type === 'u' ? 'c' : node.type);
}
