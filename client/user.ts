// Who a process runs as: the `-u` of docker, `uid[:gid]` or `name[:group]`, resolved against a passwd and group file.
import { AgentError } from '../agent/errors.ts';

export interface UserIds {
  uid: number;
  gid: number;
  additionalGids: number[];
}

/** The text of the root's /etc/passwd and /etc/group, where the caller can read them. */
export interface AccountFiles {
  passwd?: string;
  group?: string;
}

interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
}

const MAX_ID = 0xffff_fffe;

/**
 * Numbers are taken as they are; a bare uid takes its gid from passwd, or 0 when it has no entry, as docker does.
 * `root` is always known. Other names need the account files.
 * @throws AgentError invalid_argument naming the part that can't be resolved
 */
export function resolveUser(text: string, files: AccountFiles = {}): UserIds {
  const [user = '', group, ...rest] = text.split(':');
  if (user === '' || group === '' || rest.length > 0) throw invalid(text, 'give it as USER or USER:GROUP');
  const entry = findUser(text, user, files);
  const gid = group === undefined ? entry.gid : findGroup(text, group, files);
  const additionalGids = group === undefined && entry.name !== '' ? memberships(entry.name, gid, files.group) : [];
  return { uid: entry.uid, gid, additionalGids };
}

function findUser(text: string, user: string, files: AccountFiles): PasswdEntry {
  const entries = parsePasswd(files.passwd ?? '');
  if (/^\d+$/.test(user)) {
    const uid = checkId(text, user);
    return entries.find((entry) => entry.uid === uid) ?? { name: '', uid, gid: 0 };
  }
  const entry = entries.find(({ name }) => name === user);
  if (entry !== undefined) return entry;
  if (user === 'root') return { name: 'root', uid: 0, gid: 0 };
  if (files.passwd === undefined)
    throw invalid(text, 'names can be looked up only in a shared directory; give numbers, e.g. 1000:1000');
  throw invalid(text, `no user '${user}' in /etc/passwd of the container's root`);
}

function findGroup(text: string, group: string, files: AccountFiles): number {
  if (/^\d+$/.test(group)) return checkId(text, group);
  for (const [name, , gid] of records(files.group ?? '')) if (name === group && gid !== undefined) return Number(gid);
  if (group === 'root') return 0;
  if (files.group === undefined)
    throw invalid(text, 'names can be looked up only in a shared directory; give numbers, e.g. 1000:1000');
  throw invalid(text, `no group '${group}' in /etc/group of the container's root`);
}

function memberships(user: string, gid: number, group = ''): number[] {
  const gids = records(group)
    .filter(([, , , members]) => members?.split(',').includes(user))
    .map(([, , id]) => Number(id));
  return [...new Set(gids)].filter((id) => Number.isInteger(id) && id !== gid);
}

function parsePasswd(text: string): PasswdEntry[] {
  return records(text)
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => Number.isInteger(uid) && Number.isInteger(gid));
}

function records(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

function checkId(text: string, digits: string): number {
  const id = Number(digits);
  if (id > MAX_ID) throw invalid(text, `${digits} is larger than ${MAX_ID}`);
  return id;
}

function invalid(text: string, why: string): AgentError {
  return new AgentError('invalid_argument', `invalid user '${text}': ${why}`, { fields: { field: 'user' } });
}
