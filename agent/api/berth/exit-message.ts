// How a process ended, as Berth's API tells it.
import type { berth } from '#proto/berth.js';
import type { Exit } from '../../process/container-process.ts';

export function exitMessage(exit: Exit): berth.v1.Exit.$Properties {
  return {
    code: exit.code ?? -1,
    signal: exit.signal ?? 0,
    coreDumped: exit.coreDumped,
    exitedUnixMs: BigInt(exit.exitedAt),
    unknown: exit.unknown ?? false,
  };
}
