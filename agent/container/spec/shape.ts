// The shape of an OCI config.json that came as JSON: each field we know has the type that types.ts says, and what we do not know is left
// out, as the specification asks of a runtime (runtime-spec config.md, "Extensibility"). Meaning is checked later (prepare.ts).
import { AgentError } from '../../errors.ts';
import { parseSpec } from './json.ts';
import { CAPABILITIES, RLIMITS } from './names.ts';
import { checkText, quote, refuse } from './refusal.ts';
import { SECCOMP_ACTIONS, SECCOMP_ARCHITECTURES, SECCOMP_FLAGS, SECCOMP_OPERATORS } from './seccomp.ts';
import { CAPABILITY_SETS, HOOK_KINDS, NAMESPACE_TYPES, type RuntimeSpec } from './types.ts';

/** A spec of 1 MiB is a hundred times what hosts send. */
const MAX_TEXT_CHARS = 1024 * 1024;
const MAX_LIST = 65_536;

type Check = (value: unknown, path: string) => unknown;

const text: Check = (value, path) => (typeof value === 'string' ? checkText(value, path) : wrong(path, 'a string', value));
const flag: Check = (value, path) => (typeof value === 'boolean' ? value : wrong(path, 'true or false', value));
const exact: Check = (value, path) => (typeof value === 'bigint' ? value : wrong(path, 'a whole number', value));
const integer =
  (min: number, max: number): Check =>
  (value, path) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) return wrong(path, 'a whole number', value);
    return value >= min && value <= max ? value : refuse(path, `${value} is not within ${min} and ${max}`);
  };
/** Ids, device numbers, modes: 32 bits without a sign in the kernel. */
const small = integer(0, 0xffff_ffff);
const word =
  (words: Iterable<string>): Check =>
  (value, path) => {
    const given = text(value, path) as string;
    return new Set(words).has(given) ? given : refuse(path, `unknown value ${quote(given)}`);
  };

/** `key?` may be absent. */
function object(fields: Readonly<Record<string, Check>>): Check {
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong(path, 'an object', value);
    const given = value as Record<string, unknown>;
    const known: Record<string, unknown> = {};
    for (const [name, check] of Object.entries(fields)) {
      const key = name.replace(/\?$/, '');
      const at = path === '' ? key : `${path}.${key}`;
      const member = given[key];
      if (member !== undefined && member !== null) known[key] = check(member, at);
      else if (!name.endsWith('?')) refuse(at, 'is missing');
    }
    return known;
  };
}

function list(item: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value)) return wrong(path, 'a list', value);
    if (value.length > MAX_LIST) refuse(path, `has ${value.length} elements, more than ${MAX_LIST}`);
    return value.map((member, index) => item(member, `${path}[${index}]`));
  };
}

const texts: Check = (value, path) => {
  object({})(value, path);
  const entries = Object.entries(value as object);
  return Object.fromEntries(entries.map(([key, member]) => [key, text(member, `${path}[${JSON.stringify(key)}]`)]));
};

/** Absent and null are the value given. */
function orElse(fields: Readonly<Record<string, Check>>, defaults: Record<string, unknown>): Check {
  const check = object(fields);
  return (value, path) => ({ ...defaults, ...(check(value, path) as object) });
}

const each = (names: readonly string[], check: Check) => Object.fromEntries(names.map((name) => [`${name}?`, check]));
const NO_CAPABILITIES = Object.fromEntries(CAPABILITY_SETS.map((set) => [set, []]));
const idMapping = object({ hostID: small, containerID: small, size: small });
const throttle = list(object({ major: small, minor: small, rate: exact }));

const process_ = orElse(
  {
    'terminal?': flag,
    'consoleSize?': object({ height: small, width: small }),
    'user?': object({ uid: small, gid: small, 'additionalGids?': list(small) }),
    args: list(text),
    'env?': list(text),
    cwd: text,
    'capabilities?': orElse(each(CAPABILITY_SETS, list(word(CAPABILITIES))), NO_CAPABILITIES),
    'rlimits?': list(object({ type: word(RLIMITS), soft: exact, hard: exact })),
    'noNewPrivileges?': flag,
    'apparmorProfile?': text,
    'oomScoreAdj?': integer(-1000, 1000),
    'selinuxLabel?': text,
  },
  { user: { uid: 0, gid: 0 }, env: [], oomScoreAdj: 0 },
);

const resources = object({
  'devices?': list(object({ allow: flag, 'type?': word('abc'), 'major?': small, 'minor?': small, 'access?': text })),
  'memory?': object({
    ...each(['limit', 'reservation', 'swap', 'kernel', 'kernelTCP', 'swappiness'], exact),
    'disableOOMKiller?': flag,
  }),
  'cpu?': object({
    ...each(['shares', 'quota', 'period', 'realtimeRuntime', 'realtimePeriod'], exact),
    ...each(['cpus', 'mems'], text),
  }),
  'pids?': object({ limit: exact }),
  'blockIO?': object({
    'weight?': small,
    'leafWeight?': small,
    'weightDevice?': list(object({ major: small, minor: small, 'weight?': small, 'leafWeight?': small })),
    ...each(['throttleReadBpsDevice', 'throttleWriteBpsDevice', 'throttleReadIOPSDevice', 'throttleWriteIOPSDevice'], throttle),
  }),
  'hugepageLimits?': list(object({ pageSize: text, limit: exact })),
  'network?': object({ 'classID?': small, 'priorities?': list(object({ name: text, priority: small })) }),
});

const seccomp = object({
  defaultAction: word(SECCOMP_ACTIONS),
  'architectures?': list(word(SECCOMP_ARCHITECTURES)),
  'flags?': list(word(SECCOMP_FLAGS)),
  'syscalls?': list(
    object({
      names: list(text),
      action: word(SECCOMP_ACTIONS),
      'errnoRet?': small,
      'args?': list(
        orElse({ index: integer(0, 5), value: exact, 'valueTwo?': exact, op: word(SECCOMP_OPERATORS) }, { valueTwo: 0n }),
      ),
    }),
  ),
});

const linux = orElse(
  {
    'uidMappings?': list(idMapping),
    'gidMappings?': list(idMapping),
    'sysctl?': texts,
    'resources?': resources,
    'cgroupsPath?': text,
    'namespaces?': list(object({ type: word(NAMESPACE_TYPES), 'path?': text })),
    'devices?': list(
      orElse(
        { path: text, type: word('cubp'), ...each(['major', 'minor', 'fileMode', 'uid', 'gid'], small) },
        { uid: 0, gid: 0 },
      ),
    ),
    'seccomp?': seccomp,
    ...each(['rootfsPropagation', 'mountLabel'], text),
    ...each(['maskedPaths', 'readonlyPaths'], list(text)),
  },
  { namespaces: [] },
);

const spec = orElse(
  {
    'ociVersion?': text,
    process: process_,
    root: object({ path: text, 'readonly?': flag }),
    'hostname?': text,
    'mounts?': list(object({ destination: text, 'source?': text, 'type?': text, 'options?': list(text) })),
    'hooks?': object(each(HOOK_KINDS, list(object({ path: text, 'args?': list(text), 'env?': list(text), 'timeout?': small })))),
    'annotations?': texts,
    'linux?': linux,
  },
  { ociVersion: '1.2.0', mounts: [], linux: { namespaces: [] } },
);

/**
 * Reads a config.json, numbers exact.
 * @throws invalid_argument naming the field by its path in config.json
 */
export function readSpec(json: string): RuntimeSpec {
  if (json.length > MAX_TEXT_CHARS) {
    throw new AgentError('invalid_argument', `config.json: ${json.length} characters, more than ${MAX_TEXT_CHARS}`, {
      fields: { field: 'spec_json' },
    });
  }
  return spec(parseSpec(json), '') as RuntimeSpec;
}

function wrong(path: string, wanted: string, value: unknown): never {
  const got = value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
  return refuse(path === '' ? 'config.json' : path, `${got}, not ${wanted}`);
}
