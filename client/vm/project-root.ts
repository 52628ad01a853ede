// Where the checkout is.
import { resolve } from 'node:path';

/** The checkout (or installed package) this file belongs to. */
export const projectRoot = resolve(import.meta.dirname, '../..');
