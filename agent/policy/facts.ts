// What a call asks for, in the words of the policy's conditions, whichever API it came by. Pure data.

/** Conditions on texts: the patterns are compared with each. */
export const TEXT_CONDITIONS = [
  'capabilities',
  'device_rules',
  'env',
  'guest_namespaces',
  'images',
  'kernel_modules',
  'namespace_paths',
  'sysctls',
] as const;
/** Conditions on paths: as texts, after `..`, `.` and doubled slashes are resolved. */
export const PATH_CONDITIONS = ['cwd', 'hooks', 'paths', 'rootfs'] as const;
export const NUMBER_CONDITIONS = ['uid', 'gid', 'additional_gids'] as const;
export const FLAG_CONDITIONS = ['no_new_privileges', 'readonly_rootfs', 'seccomp', 'terminal'] as const;

/** Conditions on things with several properties, and which of these are paths. */
export const RECORD_CONDITIONS = {
  mounts: { destination: 'path', source: 'path', type: 'text', options: 'list' },
  storages: { driver: 'text', source: 'path', fstype: 'text', options: 'list', mount_point: 'path' },
  devices: { container_path: 'path', vm_path: 'path', id: 'text', type: 'text' },
} as const satisfies Record<string, Record<string, 'path' | 'text' | 'list'>>;

export type RecordCondition = keyof typeof RECORD_CONDITIONS;
export type ConditionName =
  | (typeof TEXT_CONDITIONS)[number]
  | (typeof PATH_CONDITIONS)[number]
  | (typeof NUMBER_CONDITIONS)[number]
  | (typeof FLAG_CONDITIONS)[number]
  | RecordCondition
  | 'args';

export type FactValue = string | number | boolean | readonly string[] | Readonly<Record<string, string | readonly string[]>>;

/** One thing that is asked for, and the field of the request that asks. */
export interface Fact {
  readonly field: string;
  readonly value: FactValue;
}

export interface Facts {
  /** Ids of the containers that the call concerns. */
  readonly containers: readonly string[];
  about(condition: ConditionName): readonly Fact[];
  /** The values at a path of field names; lists on the way stand for each of their items. */
  at(path: readonly string[]): readonly Fact[];
}

/** What is known of a call before its request: nothing. */
export const NO_FACTS: Facts = { containers: [], about: () => [], at: () => [] };
