// What one setting is: its kind, its default, and the name it has in each source.
import type { Kind } from './kinds.ts';

export interface Guard<T> {
  /** Completes "kept only if ...". */
  readonly rule: string;
  holds(value: T): boolean;
}

/** One setting. A name left out means that source can't set it. */
export interface Setting<T> {
  readonly kind: Kind<NonNullable<T>>;
  readonly fallback: T;
  /** Kernel command line parameter. */
  readonly param?: string;
  /**
   * `only`: the bare word sets it and `param=value` is not recognised; `also`: the bare word means true.
   * Without it the bare word is not recognised.
   */
  readonly bareWord?: 'only' | 'also';
  readonly toml?: string;
  readonly env?: string;
  /** A value that breaks the guard leaves the setting as it was; one the kind can't read is an error. */
  readonly guard?: Guard<NonNullable<T>>;
  /** Read from the command line only after the mem-agent was enabled there. */
  readonly needsMemAgent?: boolean;
  /** Read and checked, but nothing in Berth acts on it: why. */
  readonly unused?: string;
  /** What it asks for is so in any case; nothing has to act on it. */
  readonly met?: true;
  /** One line for the documentation. */
  readonly effect: string;
}

/** Fixes the type of one row of the table. */
export function setting<T>(row: Setting<T>): Setting<T> {
  return row;
}

/** Something a user would want to hear of that does not stop the boot: an unknown name, a value not kept. */
export interface ConfigNote {
  readonly source: ConfigSource;
  readonly key: string;
  readonly text: string;
}

export type ConfigSource = 'command line' | 'config file' | 'environment';
