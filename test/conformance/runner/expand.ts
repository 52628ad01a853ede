// Puts values in place of names: `%{id}` in texts, templates, and the few words for bytes.
import type { Data } from '../case.ts';

/** What a request is once nothing in it stands for something else. */
export type Plain = null | boolean | number | string | Uint8Array | readonly Plain[] | { readonly [name: string]: Plain };

/** Values by name; a name may lead into one with dots. */
export type Names = ReadonlyMap<string, Plain>;
export type Templates = Readonly<Record<string, Data>>;

const WHOLE = /^%\{([\w.-]+)\}$/;
const INSIDE = /%\{([\w.-]+)\}/g;

/** @throws when a name has no value or a template does not exist */
export function expand(data: Data | undefined, names: Names, templates: Templates): Plain {
  if (data === undefined || data === null || typeof data === 'boolean' || typeof data === 'number') return data ?? null;
  if (typeof data === 'string') return expandText(data, names);
  if (Array.isArray(data)) return data.map((each: Data) => expand(each, names, templates));
  const object = data as { readonly [name: string]: Data | undefined };
  if (typeof object['$hex'] === 'string') return Buffer.from(object['$hex'].replaceAll(/\s/g, ''), 'hex');
  if (typeof object['$repeat'] === 'string') return String(expandText(object['$repeat'], names)).repeat(Number(object['$times']));
  const { $like, ...own } = object;
  const plain = Object.fromEntries(
    Object.entries(own).map(([name, value]) => [expandText(name, names), expand(value, names, templates)]),
  );
  if ($like === undefined) return plain;
  const template = templates[String($like)];
  if (template === undefined) throw new Error(`there is no template ${String($like)}`);
  const under = expand(template, names, templates);
  return Object.keys(own).length === 0 ? under : overlay(under, plain);
}

function expandText(text: string, names: Names): Plain {
  const whole = WHOLE.exec(text);
  if (whole) return lookUp(whole[1]!, names);
  return text.replaceAll(INSIDE, (_, name: string) => String(lookUp(name, names)));
}

function lookUp(path: string, names: Names): Plain {
  const [first, ...rest] = path.split('.');
  let value = names.get(first!);
  for (const part of rest) value = (value as { readonly [name: string]: Plain } | undefined)?.[part];
  if (value === undefined) throw new Error(`%{${path}} has no value here`);
  return value;
}

/** Objects are joined member by member; anything else takes the place of what was there. `null` takes a member away. */
function overlay(under: Plain, over: Plain): Plain {
  if (!isObject(under) || !isObject(over)) return over;
  const joined: Record<string, Plain> = { ...under };
  for (const [name, value] of Object.entries(over)) {
    if (value === null) delete joined[name];
    else joined[name] = name in joined ? overlay(joined[name]!, value) : value;
  }
  return joined;
}

function isObject(value: Plain): value is { readonly [name: string]: Plain } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
