// Readers of single fields of Kata's OCI messages. proto3 has no presence for scalars, so zero and empty mean absent.
import { checkText, refuse } from '../../container/spec/refusal.ts';

export function text(value: string | null | undefined, field: string): string {
  return checkText(value ?? '', field);
}

/** Undefined for the empty string. */
export function optionalText(value: string | null | undefined, field: string): string | undefined {
  return text(value, field) || undefined;
}

export function texts(values: readonly string[] | null | undefined, field: string): string[] {
  return (values ?? []).map((value, index) => text(value, `${field}[${index}]`));
}

/** Undefined for an empty list. */
export function optionalTexts(values: readonly string[] | null | undefined, field: string): string[] | undefined {
  return values?.length ? texts(values, field) : undefined;
}

/** Maps a repeated message field; undefined for an empty list. */
export function optionalList<From, To>(
  values: readonly From[] | null | undefined,
  field: string,
  convert: (value: From, field: string) => To,
): To[] | undefined {
  return values?.length ? list(values, field, convert) : undefined;
}

export function list<From, To>(
  values: readonly From[] | null | undefined,
  field: string,
  convert: (value: From, field: string) => To,
): To[] {
  return (values ?? []).map((value, index) => convert(value, `${field}[${index}]`));
}

/** A map with string values; undefined when empty. Keys keep the order of the wire. */
export function optionalMap(
  values: Readonly<Record<string, string>> | null | undefined,
  field: string,
): Record<string, string> | undefined {
  const entries = Object.entries(values ?? {});
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.map(([key, value]) => [text(key, field), text(value, `${field}[${JSON.stringify(key)}]`)]));
}

/** Undefined for zero. */
export function optionalBigInt(value: bigint | null | undefined): bigint | undefined {
  return value || undefined;
}

/** A 64-bit field whose meaning is small, as a number. @throws invalid_argument outside `min`..`max` */
export function smallInt(value: bigint | null | undefined, field: string, min: number, max: number): number {
  const exact = value ?? 0n;
  if (exact < BigInt(min) || exact > BigInt(max)) refuse(field, `${exact} is not within ${min} to ${max}`);
  return Number(exact);
}

/** One of a closed set of words. @throws invalid_argument naming `what` */
export function word(value: string | null | undefined, known: ReadonlySet<string>, field: string, what: string): string {
  const found = value ?? '';
  if (!known.has(found)) refuse(field, `unknown ${what} ${JSON.stringify(found.slice(0, 120))}`);
  return found;
}
