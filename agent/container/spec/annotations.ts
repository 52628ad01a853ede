// Annotations on which crun acts: they weaken isolation (`crun features`, potentiallyUnsafeConfigAnnotations).
import type { OnDropped } from './context.ts';

const UNSAFE_PREFIXES = ['run.oci.', 'org.criu.', 'org.systemd.property.', 'org.opencontainers.runc.'];
const UNSAFE = new Set(['module.wasm.image/variant', 'io.kubernetes.cri.container-type']);

/** The annotations without those; undefined when none is left. */
export function prepareAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  onDropped: OnDropped,
): Record<string, string> | undefined {
  const kept = Object.entries(annotations ?? {}).filter(([key]) => {
    const unsafe = UNSAFE.has(key) || UNSAFE_PREFIXES.some((prefix) => key.startsWith(prefix));
    if (unsafe) onDropped(`annotations.${key}`, 'crun would act on it');
    return !unsafe;
  });
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}
