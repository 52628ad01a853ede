// What the methods of berth.v1.Files need.
import type { Turns } from '../../process/stream/turns.ts';
import type { Clients } from '../../sandbox/clients.ts';
import type { FileRoots } from '../../sandbox/file-roots.ts';

export interface FileMethodOptions {
  readonly roots: FileRoots;
  readonly clients: Clients;
  readonly turns: Turns;
}
