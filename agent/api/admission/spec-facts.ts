// What a config.json given as text asks for. Nobody has checked it yet, so a part that is not of its type ends the reading: what can't
// be read can't be permitted.
import { posix } from 'node:path';
import { parseSpec } from '../../container/spec/json.ts';
import { capabilityName } from '../../container/spec/names.ts';
import { AgentError } from '../../errors.ts';
import type { FactValue } from '../../policy/facts.ts';
import { type Add, IMAGE_ANNOTATIONS, SHARED_UNLESS_LISTED } from './visitor.ts';

/** @throws invalid_argument naming the field */
export function specFacts(text: string, field: string, add: Add): void {
  const spec = table(parseSpec(text), field);
  processFacts(table(spec['process'], `${field}.process`), `${field}.process`, add);
  const root = table(spec['root'], `${field}.root`);
  add('rootfs', `${field}.root.path`, string(root['path'], `${field}.root.path`));
  add('readonly_rootfs', `${field}.root.readonly`, flag(root['readonly'], `${field}.root.readonly`));
  for (const [at, mount] of tables(spec['mounts'], `${field}.mounts`)) {
    const value = {
      destination: posix.resolve('/', string(mount['destination'], `${at}.destination`)),
      source: string(mount['source'], `${at}.source`),
      type: string(mount['type'], `${at}.type`),
      options: strings(mount['options'], `${at}.options`).map(([, option]) => option),
    };
    add('mounts', at, value);
  }
  for (const [kind, hooks] of Object.entries(table(spec['hooks'], `${field}.hooks`))) {
    for (const [at, hook] of tables(hooks, `${field}.hooks.${kind}`))
      add('hooks', `${at}.path`, string(hook['path'], `${at}.path`));
  }
  const annotations = table(spec['annotations'], `${field}.annotations`);
  for (const name of IMAGE_ANNOTATIONS) {
    const at = `${field}.annotations[${name}]`;
    if (annotations[name] !== undefined) add('images', at, string(annotations[name], at));
  }
  linuxFacts(table(spec['linux'], `${field}.linux`), `${field}.linux`, add);
}

function processFacts(process: Table, field: string, add: Add): void {
  const user = table(process['user'], `${field}.user`);
  for (const id of ['uid', 'gid']) add(id as 'uid', `${field}.user.${id}`, number(user[id], `${field}.user.${id}`));
  for (const [index, gid] of list(user['additionalGids'], `${field}.user.additionalGids`).entries()) {
    const at = `${field}.user.additionalGids[${index}]`;
    add('additional_gids', at, number(gid, at));
  }
  const args = strings(process['args'], `${field}.args`).map(([, arg]) => arg);
  add('args', `${field}.args`, args);
  for (const [at, entry] of strings(process['env'], `${field}.env`)) add('env', at, entry);
  add('cwd', `${field}.cwd`, string(process['cwd'], `${field}.cwd`));
  add('terminal', `${field}.terminal`, flag(process['terminal'], `${field}.terminal`));
  add('no_new_privileges', `${field}.noNewPrivileges`, flag(process['noNewPrivileges'], `${field}.noNewPrivileges`));
  for (const [set, names] of Object.entries(table(process['capabilities'], `${field}.capabilities`))) {
    for (const [at, name] of strings(names, `${field}.capabilities.${set}`))
      add('capabilities', at, capabilityName(name) ?? name);
  }
}

function linuxFacts(linux: Table, field: string, add: Add): void {
  const listed = new Set<FactValue>();
  for (const [at, namespace] of tables(linux['namespaces'], `${field}.namespaces`)) {
    const [type, path] = [string(namespace['type'], `${at}.type`), string(namespace['path'], `${at}.path`)];
    listed.add(type);
    if (path !== '') add('namespace_paths', `${at}.path`, `${type}:${path}`);
  }
  for (const type of SHARED_UNLESS_LISTED) if (!listed.has(type)) add('guest_namespaces', `${field}.namespaces`, type);
  add('seccomp', `${field}.seccomp`, linux['seccomp'] != null);
  for (const [name, value] of Object.entries(table(linux['sysctl'], `${field}.sysctl`))) {
    add('sysctls', `${field}.sysctl[${name}]`, `${name}=${string(value, `${field}.sysctl[${name}]`)}`);
  }
  for (const [at, device] of tables(linux['devices'], `${field}.devices`)) {
    const [type, path] = [string(device['type'], `${at}.type`), string(device['path'], `${at}.path`)];
    add('devices', at, { id: `${device['major']}:${device['minor']}`, type, vm_path: '', container_path: path });
  }
  const resources = table(linux['resources'], `${field}.resources`);
  for (const [at, rule] of tables(resources['devices'], `${field}.resources.devices`)) {
    if (!flag(rule['allow'], `${at}.allow`)) continue;
    const part = (value: unknown) => (typeof value === 'number' && value > 0 ? String(value) : '*');
    const [type, access] = [string(rule['type'], `${at}.type`), string(rule['access'], `${at}.access`)];
    add('device_rules', at, `${type || 'a'} ${part(rule['major'])}:${part(rule['minor'])} ${access || 'rwm'}`);
  }
}

type Table = Readonly<Record<string, unknown>>;

function table(value: unknown, field: string): Table {
  if (value === undefined || value === null) return {};
  return typeof value === 'object' && !Array.isArray(value) ? (value as Table) : refuse(field, 'an object');
}

function list(value: unknown, field: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : refuse(field, 'a list');
}

function tables(value: unknown, field: string): (readonly [string, Table])[] {
  return list(value, field).map((item, index) => [`${field}[${index}]`, table(item, `${field}[${index}]`)]);
}

function strings(value: unknown, field: string): (readonly [string, string])[] {
  return list(value, field).map((item, index) => [`${field}[${index}]`, string(item, `${field}[${index}]`)]);
}

function string(value: unknown, field: string): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : refuse(field, 'a string');
}

function flag(value: unknown, field: string): boolean {
  if (value === undefined) return false;
  return typeof value === 'boolean' ? value : refuse(field, 'true or false');
}

function number(value: unknown, field: string): number {
  if (value === undefined) return 0;
  return typeof value === 'number' ? value : refuse(field, 'a number');
}

function refuse(field: string, what: string): never {
  throw new AgentError('invalid_argument', `${field} is not ${what}`, { fields: { field } });
}
