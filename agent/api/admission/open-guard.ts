// Puts the policy's guard together at the start of the agent. Without a policy nothing of it is loaded.
import type { Logger } from '../../log.ts';
import { findPolicyFile } from '../../policy/find.ts';
import type { Guard, Method } from '../../rpc/service.ts';

/**
 * @param configured the policy file as configured, empty for the default
 * @param everyMethod all that is served, over either protocol, those that are loaded later as well
 * @returns undefined when there is no policy
 */
export async function openGuard(
  configured: string,
  everyMethod: () => Promise<readonly Method[]>,
  log: Logger,
): Promise<Guard | undefined> {
  const file = await findPolicyFile(configured);
  if (file === undefined) return undefined;
  const [{ loadPolicy }, { admission }, { propertyName }, methods] = await Promise.all([
    import('../../policy/load.ts'),
    import('./admission.ts'),
    import('./message-facts.ts'),
    everyMethod(),
  ]);
  const known = methods.map(({ service, name, request }) => {
    // What only stands for a method that is loaded later has no message class; the method itself is in the list too.
    const { prototype = {} } = request as unknown as { prototype?: object };
    return { service, name, hasField: (field: string) => propertyName(field, prototype) in prototype };
  });
  return admission(await loadPolicy(file, known, log), log);
}
