// How large a program's arguments and environment may be, whichever API names them.
import { AgentError } from '../../errors.ts';

/** What execve(2) would have to copy; the kernel's own limit is a quarter of the stack, 2 MiB. */
const MAX_ARGS_AND_ENV_BYTES = 2 * 1024 * 1024;

/** @param field path of the program in its request, for the error @throws resource_exhausted */
export function checkArgsAndEnv(args: readonly string[], env: readonly string[], field: string): void {
  // One byte for each terminating NUL.
  const bytes = [...args, ...env].reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
  if (bytes <= MAX_ARGS_AND_ENV_BYTES) return;
  throw new AgentError(
    'resource_exhausted',
    `${field}: arguments and environment take ${bytes} of ${MAX_ARGS_AND_ENV_BYTES} bytes`,
    { fields: { field, limit: 'args-and-env-bytes', bytes: MAX_ARGS_AND_ENV_BYTES } },
  );
}
