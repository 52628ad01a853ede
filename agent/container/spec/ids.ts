// Which ids a client may give containers and execs: they become path components, cgroup names and crun's own ids.
import { AgentError } from '../../errors.ts';
import { quote } from './refusal.ts';

/** crun and the kernel allow 255; this leaves room for what is put around an id. */
export const MAX_ID_LENGTH = 128;
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/** Kata's rule (verify_id): at least two characters, ASCII. @throws invalid_argument */
export function checkContainerId(id: string): string {
  if (id.length < 2) throw invalid('container', id, 'needs at least two characters');
  return checkId('container', id);
}

/** @throws invalid_argument */
export function checkExecId(id: string): string {
  if (id === '') throw invalid('exec', id, 'is empty');
  return checkId('exec', id);
}

function checkId(kind: 'container' | 'exec', id: string): string {
  if (id.length > MAX_ID_LENGTH) throw invalid(kind, id, `is longer than ${MAX_ID_LENGTH} characters`);
  if (!ID.test(id)) throw invalid(kind, id, 'must start with a letter or digit and go on with those, `_`, `.` or `-`');
  return id;
}

function invalid(kind: 'container' | 'exec', id: string, rule: string): AgentError {
  return new AgentError('invalid_argument', `invalid ${kind} id ${quote(id)}: ${rule}`, { fields: { field: `${kind}_id` } });
}
