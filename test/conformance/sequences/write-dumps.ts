// Writes the dumps anew after a change of a sequence: `node test/conformance/sequences/write-dumps.ts`.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dumpOf } from './dump.ts';
import { goRuntime } from './go-runtime.ts';
import { runtimeRs } from './runtime-rs.ts';

for (const sequence of [goRuntime, runtimeRs]) {
  await writeFile(join(import.meta.dirname, `${sequence.name}.hex`), dumpOf(sequence));
}
