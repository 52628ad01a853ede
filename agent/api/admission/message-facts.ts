// What a decoded request asks for, as the policy's facts. Messages are recognised by their class wherever they stand, so that an RPC
// which carries a process, a mount or a device is covered without being known here.
import { grpc } from '#proto/kata.js';
import { type ConditionName, type Fact, type Facts, NO_FACTS } from '../../policy/facts.ts';
import { berthVisitors } from './berth-facts.ts';
import { kataVisitors } from './kata-facts.ts';
import type { Add } from './visitor.ts';

type Message = Readonly<Record<string, unknown>>;

const VISITORS = new Map([...kataVisitors, ...berthVisitors]);
/** Fields that hold a container's id, in any message. One that is empty is an id too: of the guest itself. */
const CONTAINER_FIELDS = ['containerId', 'srcCtr', 'dstCtr'];
/** Large, and nothing that a condition is about. */
const LEFT_OUT: ReadonlySet<unknown> = new Set([grpc.LinuxSeccomp]);

/**
 * @param inherited the containers of the stream so far, for a message that names none
 * @throws invalid_argument for a part that can't be read
 */
export function messageFacts(request: unknown, inherited: readonly string[] = []): Facts {
  if (!isMessage(request)) return NO_FACTS;
  const found = new Map<ConditionName, Fact[]>();
  const containers = new Set<string>();
  const add: Add = (condition, field, value) => {
    const facts = found.get(condition);
    if (facts === undefined) found.set(condition, [{ field, value }]);
    else facts.push({ field, value });
  };
  const concerns = (id: string) => void containers.add(id);
  const walk = (message: Message, path: string): void => {
    if (LEFT_OUT.has(message.constructor)) return;
    const field = (name: string) => (path === '' || name === '' ? path || name : `${path}.${name}`);
    VISITORS.get(message.constructor)?.(message, field, add, concerns);
    for (const name of CONTAINER_FIELDS) {
      const id = message[name];
      if (typeof id === 'string') concerns(id);
    }
    for (const [name, value] of Object.entries(message)) {
      if (Array.isArray(value)) {
        if (!isMessage(value[0])) continue;
        for (const [index, item] of value.entries()) walk(item, `${field(name)}[${index}]`);
      } else if (isMessage(value)) walk(value, field(name));
    }
  };
  walk(request, '');
  return {
    containers: containers.size > 0 ? [...containers] : inherited,
    about: (condition) => found.get(condition) ?? [],
    at: (path) => valuesAt(request, path),
  };
}

/** Names as in the .proto file, or as JavaScript has them. */
function valuesAt(message: Message, path: readonly string[]): Fact[] {
  let here: { value: unknown; field: string }[] = [{ value: message, field: '' }];
  for (const name of path) {
    here = here.flatMap(({ value, field }) => {
      if (!isMessage(value)) return [];
      const below = field === '' ? name : `${field}.${name}`;
      const found = value[propertyName(name, value)];
      if (Array.isArray(found)) return found.map((item, index) => ({ value: item, field: `${below}[${index}]` }));
      return found === undefined || found === null ? [] : [{ value: found, field: below }];
    });
  }
  return here.flatMap(({ value, field }) => (isMessage(value) ? [] : [{ field, value: plain(value) }]));
}

/** As protobufjs turns field names into property names. */
export function propertyName(name: string, message: object): string {
  return name in message ? name : name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function plain(value: unknown): string | number | boolean {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return value instanceof Uint8Array ? `${value.length} bytes` : String(value);
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array) && !Array.isArray(value);
}
