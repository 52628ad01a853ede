// Small messages about a process, checked.
import type { berth } from '#proto/berth.js';
import { AgentError } from '../../errors.ts';
import type { ProcessRef } from '../../sandbox/process-entry.ts';

const MAX_CELLS = 0xffff;

/** @throws invalid_argument */
export function toRef(ref: berth.v1.ProcessRef.$Properties | null | undefined): ProcessRef {
  const containerId = ref?.containerId ?? '';
  const processId = ref?.processId ?? '';
  if (containerId === '' && processId === '') refuse('ref', 'names no process');
  return { containerId, processId };
}

/** The kernel holds 16 bits (man 4 tty_ioctl, struct winsize). @throws invalid_argument */
export function toSize(size: berth.v1.TerminalSize.$Properties | null | undefined): { rows: number; columns: number } {
  const [rows, columns] = [size?.rows ?? 0, size?.columns ?? 0];
  if (rows > MAX_CELLS || columns > MAX_CELLS) refuse('size', `${rows}x${columns} is above ${MAX_CELLS}`);
  return { rows, columns };
}

export function refuse(field: string, reason: string): never {
  throw new AgentError('invalid_argument', `${field}: ${reason}`, { fields: { field } });
}
