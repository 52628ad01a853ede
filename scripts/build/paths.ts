// Where the build reads and writes, as absolute paths.
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '../..');
export const BUILD = path.join(ROOT, 'build');
/** Hash of the inputs each finished step was built from. */
export const STAMPS = path.join(BUILD, '.stamps');
/** The agent as esbuild leaves it. */
export const AGENT = path.join(BUILD, 'agent');
/** What becomes /usr/lib/berth in the guest. */
export const GUEST = path.join(BUILD, 'guest');
/** What a guest is booted from. */
export const IMAGE = path.join(BUILD, 'image');
/** Programs unpacked from packages that this machine's release does not have. */
export const TOOLS = path.join(BUILD, 'tools');
/** Trees that the Dockerfile's stages gave, unpacked. */
export const TREES = path.join(BUILD, '.trees');
/** buildah's own image store: nothing of the machine's is read or changed. */
export const STORE = path.join(BUILD, '.containers');
export const LOGS = path.join(BUILD, 'logs');
