// Puts the policy's guard together at the start of the agent. Without a policy nothing of it is loaded.
import type { Logger } from '../../log.ts';
import { findPolicyFile } from '../../policy/find.ts';
import type { Guard, Method } from '../../rpc/service.ts';

/**
 * @param configured the policy file as configured, empty for the default
 * @param methods what is served over both protocols
 * @returns undefined when there is no policy
 */
export async function openGuard(configured: string, methods: readonly Method[], log: Logger): Promise<Guard | undefined> {
  const file = await findPolicyFile(configured);
  if (file === undefined) return undefined;
  const [{ loadPolicy }, { admission }, { propertyName }, { grpcMethods }] = await Promise.all([
    import('../../policy/load.ts'),
    import('./admission.ts'),
    import('./message-facts.ts'),
    import('../grpc-methods.ts'),
  ]);
  const known = [...methods, ...grpcMethods(methods)].map(({ service, name, request }) => {
    const { prototype } = request as unknown as { prototype: object };
    return { service, name, hasField: (field: string) => propertyName(field, prototype) in prototype };
  });
  return admission(await loadPolicy(file, known, log), log);
}
