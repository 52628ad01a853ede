// What berth.v1's file operations may hold of the thread pool, all of them together.
import { Lane } from '../lane.ts';

/** One operation of a call waits at a time, and calls are bounded by client. */
const MAX_WAITING = 4096;

/** A step each: a read of one piece, a stat. Whoever has more to do queues up again. */
export const FILES = new Lane({ name: 'files', width: 2, maxWaiting: MAX_WAITING });
