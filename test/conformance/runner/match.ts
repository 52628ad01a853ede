// Holds what came back against what a case expects. An object is looked at member by member, only those named; `$match` is a
// regular expression, `$from` and `$to` bound a number, `$has` are members that a list must hold, `$not` must not fit,
// `$bytes` is a length, `$any` is anything but nothing.
import { isDeepStrictEqual } from 'node:util';
import type { Plain } from './expand.ts';

type Found = unknown;

/** What does not fit, each with its place; empty when all fits. */
export function mismatches(found: Found, wanted: Plain, at = 'reply'): string[] {
  if (wanted === null || typeof wanted !== 'object' || wanted instanceof Uint8Array) return plainMismatch(found, wanted, at);
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found)) return [`${at}: a list is wanted, found ${show(found)}`];
    if (found.length !== wanted.length) return [`${at}: ${wanted.length} members are wanted, found ${show(found)}`];
    return wanted.flatMap((each: Plain, index) => mismatches(found[index], each, `${at}[${index}]`));
  }
  const object = wanted as { readonly [name: string]: Plain };
  const word = Object.keys(object).find((name) => name.startsWith('$'));
  if (word !== undefined) return wordMismatches(word, found, object, at);
  if (typeof found !== 'object' || found === null) return [`${at}: an object is wanted, found ${show(found)}`];
  return Object.entries(object).flatMap(([name, value]) =>
    mismatches((found as Record<string, unknown>)[name], value, `${at}.${name}`),
  );
}

function wordMismatches(word: string, found: Found, wanted: { readonly [name: string]: Plain }, at: string): string[] {
  switch (word) {
    case '$any':
      return found === undefined || found === null || text(found) === ''
        ? [`${at}: something is wanted, found ${show(found)}`]
        : [];
    case '$match':
      return new RegExp(String(wanted['$match']), 'ms').test(text(found))
        ? []
        : [`${at}: ${show(found)} does not fit /${String(wanted['$match'])}/`];
    case '$not':
      return mismatches(found, wanted['$not']!, at).length > 0 ? [] : [`${at}: ${show(found)} is what must not be`];
    case '$bytes':
      return Buffer.byteLength(text(found), 'latin1') === wanted['$bytes'] || (found as Buffer).length === wanted['$bytes']
        ? []
        : [`${at}: ${show(wanted['$bytes'])} bytes are wanted, found ${text(found).length}`];
    case '$from':
    case '$to': {
      const number = Number(found);
      const good = number >= Number(wanted['$from'] ?? -Infinity) && number <= Number(wanted['$to'] ?? Infinity);
      return good ? [] : [`${at}: ${show(found)} is not from ${show(wanted['$from'])} to ${show(wanted['$to'])}`];
    }
    case '$has': {
      if (!Array.isArray(found)) return [`${at}: a list is wanted, found ${show(found)}`];
      return (wanted['$has'] as readonly Plain[]).flatMap((each) =>
        found.some((member) => mismatches(member, each).length === 0)
          ? []
          : [`${at}: no member fits ${show(each)} in ${show(found)}`],
      );
    }
    default:
      throw new Error(`${at}: there is no matcher ${word}`);
  }
}

function plainMismatch(found: Found, wanted: Plain, at: string): string[] {
  const same =
    typeof wanted === 'string' && Buffer.isBuffer(found) ? found.equals(Buffer.from(wanted)) : isDeepStrictEqual(found, wanted);
  return same ? [] : [`${at}: ${show(wanted)} is wanted, found ${show(found)}`];
}

function text(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('utf8') : String(value ?? '');
}

const MAX_SHOWN = 400;

/** For an error text, cut short. */
export function show(value: unknown): string {
  const json = JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === 'object' && each !== null && 'type' in each && each.type === 'Buffer')
      return Buffer.from((each as unknown as { data: number[] }).data).toString('latin1');
    return each;
  });
  return json === undefined ? 'nothing' : json.length > MAX_SHOWN ? `${json.slice(0, MAX_SHOWN)}…` : json;
}
