// Hooks: programs a spec asks to be run around the container's life.
import { checkAbsolutePath } from './paths.ts';
import { refuse } from './refusal.ts';
import { HOOK_KINDS, type HooksSpec } from './types.ts';

/**
 * startContainer hooks run inside the container, with no more rights than it. All others run as root in the guest's own
 * namespaces, so they need `allowGuestHooks`.
 * @throws invalid_argument
 */
export function prepareHooks(hooks: HooksSpec | undefined, allowGuestHooks: boolean): HooksSpec | undefined {
  if (hooks === undefined) return undefined;
  const prepared: HooksSpec = {};
  for (const kind of HOOK_KINDS) {
    const entries = hooks[kind];
    if (entries === undefined || entries.length === 0) continue;
    if (kind !== 'startContainer' && !allowGuestHooks) refuse(`hooks.${kind}`, 'hooks outside the container are not allowed');
    prepared[kind] = entries.map((hook, index) => ({
      ...hook,
      path: checkAbsolutePath(hook.path, `hooks.${kind}[${index}].path`),
    }));
  }
  return Object.keys(prepared).length > 0 ? prepared : undefined;
}

/** Those of the spec first, the guest's own after them. */
export function withGuestHooks(hooks: HooksSpec | undefined, guest: HooksSpec = {}): HooksSpec | undefined {
  const merged: HooksSpec = { ...hooks };
  for (const kind of HOOK_KINDS) {
    const own = guest[kind];
    if (own !== undefined) merged[kind] = [...(merged[kind] ?? []), ...own];
  }
  return Object.keys(merged).length > 0 ? merged : undefined;
}
