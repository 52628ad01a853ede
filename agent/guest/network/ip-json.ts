// Readers of what `ip -json` prints: a list of objects whose fields come and go with the version of iproute2.
import { AgentError } from '../../errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** @throws internal when it is anything else than a list of objects; no text at all is an empty list */
export function parseIpJson(text: string): JsonObject[] {
  if (text.trim() === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AgentError('internal', 'what `ip -json` prints is no JSON', { cause: error });
  }
  if (!Array.isArray(value)) throw new AgentError('internal', 'what `ip -json` prints is no list');
  return objects(value);
}

/** The objects of a list; none for anything that is no list. */
export function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'object' && entry !== null) : [];
}

export function object(value: unknown): JsonObject {
  return objects([value])[0] ?? {};
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Numbers come bare, or as text with `-N`; 0 for anything else. */
export function number(value: unknown): number {
  const found = typeof value === 'string' ? Number(value) : value;
  return typeof found === 'number' && Number.isFinite(found) ? found : 0;
}

export function words(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}
