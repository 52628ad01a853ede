// What a doctor says: one finding for each thing looked at, and what to do where it is not as it should be.

/** `note`: nothing to do. `warning`: works, but worse than it could. `problem`: does not work. */
export type Status = 'ok' | 'note' | 'warning' | 'problem';

export interface Finding {
  /** Stable, for programs: `vhost-vsock-module`. */
  readonly id: string;
  readonly status: Status;
  /** What was seen, in one line. */
  readonly found: string;
  /** Commands or steps, in their order; at least one with a warning or a problem. */
  readonly remedy: readonly string[];
}

export function ok(id: string, found: string): Finding {
  return { id, status: 'ok', found, remedy: [] };
}

export function note(id: string, found: string): Finding {
  return { id, status: 'note', found, remedy: [] };
}

export function warning(id: string, found: string, ...remedy: [string, ...string[]]): Finding {
  return { id, status: 'warning', found, remedy };
}

export function problem(id: string, found: string, ...remedy: [string, ...string[]]): Finding {
  return { id, status: 'problem', found, remedy };
}

const MARKS: Readonly<Record<Status, string>> = { ok: 'ok', note: '--', warning: '??', problem: '!!' };

/** For people: a line for each finding, its remedy under it. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ id }) => id.length)) + 2;
  const lines = findings.flatMap(({ id, status, found, remedy }) => [
    `${MARKS[status]}  ${id.padEnd(width)}${printable(found)}`,
    ...remedy.map((step) => `${' '.repeat(width + 4)}-> ${printable(step)}`),
  ]);
  return lines.map((line) => `${line}\n`).join('');
}

/** What a guest says must not move the cursor of the host's terminal. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
