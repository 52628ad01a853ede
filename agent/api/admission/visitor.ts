// How the facts of one kind of message are told, and the vocabulary that Kata's and our own messages share.
import type { ConditionName, FactValue } from '../../policy/facts.ts';

/** A thing that is asked for. */
export type Add = (condition: ConditionName, field: string, value: FactValue) => void;
/** The path of a field of the message in its request. */
export type FieldPath = (name: string) => string;

type Visit<M> = (message: M, field: FieldPath, add: Add, container: (id: string) => void) => void;

// biome-ignore lint/suspicious/noExplicitAny: a table mixes visitors of every message; each row knows its own.
export type Visitor = readonly [messageClass: unknown, visit: Visit<any>];

/** Fixes the message's type for the visiting function. */
export function visitor<M>(messageClass: { prototype: M }, visit: Visit<M>): Visitor {
  return [messageClass, visit];
}

/** Annotations by which containerd and CRI-O name the image; the host's word, not checked by anybody. */
export const IMAGE_ANNOTATIONS = ['io.kubernetes.cri.image-name', 'io.kubernetes.cri-o.ImageName'];
/** What a container shares with the guest unless its spec lists the type; a pid namespace is always made. */
export const SHARED_UNLESS_LISTED = ['mount', 'ipc', 'uts', 'network', 'cgroup', 'user'];
export const CAPABILITY_FIELDS = ['Bounding', 'Effective', 'Inheritable', 'Permitted', 'Ambient'] as const;
