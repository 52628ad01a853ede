// Whether there is a policy at all: looked up at each start, so it asks for no more than that.
import { access } from 'node:fs/promises';
import { isErrno } from '../errors.ts';

/** Where an image may keep its policy. */
export const DEFAULT_POLICY_FILE = '/etc/berth/policy.toml';

/**
 * The file to load. One that is named is loaded whether it is there or not; without a name, undefined when the default is absent.
 * @param configured empty for the default
 */
export async function findPolicyFile(configured: string, fallback = DEFAULT_POLICY_FILE): Promise<string | undefined> {
  if (configured !== '') return configured;
  try {
    await access(fallback);
  } catch (error) {
    // Any other failure leaves open whether there is one, and loading it will refuse everything.
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
  }
  return fallback;
}
