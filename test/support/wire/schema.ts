// The messages of Kata's protocol as the table of facts names them (test/fixtures/kata-wire.json): what the independent codec of the
// tests goes by. Shares nothing with the codecs of the agent and its client.
import wire from '../../fixtures/kata-wire.json' with { type: 'json' };

export interface Field {
  readonly name: string;
  readonly number: number;
  /** A scalar's name, or the full name of a message or an enum. */
  readonly type: string;
  readonly repeated: boolean;
  /** Set for a map; `type` is that of its values then. */
  readonly mapKey: string | undefined;
  /** Whether the zero value is told from none: `optional`, or a member of a oneof. */
  readonly presence: boolean;
  readonly oneof: string | undefined;
}

/** The two messages of one method, by their full names. */
export interface MethodMessages {
  readonly request: string;
  readonly response: string;
}

export const EMPTY = 'google.protobuf.Empty';
export const AGENT_SERVICE = 'grpc.AgentService';
export const HEALTH_SERVICE = 'grpc.Health';

/** containerd/ttrpc, PROTOCOL.md, and google.rpc.Status. */
const ENVELOPE: Readonly<Record<string, readonly string[]>> = {
  'ttrpc.Request': [
    'string service = 1',
    'string method = 2',
    'bytes payload = 3',
    'int64 timeout_nano = 4',
    'repeated ttrpc.KeyValue metadata = 5',
  ],
  'ttrpc.KeyValue': ['string key = 1', 'string value = 2'],
  'ttrpc.Response': ['google.rpc.Status status = 1', 'bytes payload = 2'],
  'google.rpc.Status': ['int32 code = 1', 'string message = 2', 'repeated google.protobuf.Any details = 3'],
  'google.protobuf.Any': ['string type_url = 1', 'bytes value = 2'],
};

const MESSAGES: ReadonlyMap<string, readonly Field[]> = new Map(
  Object.entries({ ...(wire.messages as Record<string, readonly string[]>), ...ENVELOPE, [EMPTY]: [] }).map(([name, fields]) => [
    name,
    fields.map(parseField),
  ]),
);
const ENUMS: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map(
  Object.entries(wire.enums as Record<string, Record<string, number>>).map(([name, values]) => [
    name,
    new Map(Object.entries(values)),
  ]),
);

function parseField(text: string): Field {
  const match = /^(repeated |optional )?(?:map<(\w+),([\w.]+)>|([\w.]+)) (\w+) = (\d+)(?: oneof (\w+))?$/.exec(text);
  if (!match) throw new Error(`kata-wire.json: cannot read the field \`${text}\``);
  const [, label, mapKey, mapValue, type, name, number, oneof] = match;
  return {
    name: name!,
    number: Number(number),
    type: (mapValue ?? type)!,
    repeated: label === 'repeated ',
    mapKey,
    presence: label === 'optional ' || oneof !== undefined,
    oneof,
  };
}

/** The fields of a message. */
export function fieldsOf(message: string): readonly Field[] {
  const fields = MESSAGES.get(message);
  if (!fields) throw new Error(`the protocol has no message ${message}`);
  return fields;
}

export function isMessage(type: string): boolean {
  return MESSAGES.has(type);
}

/** The numbers of an enum by name, or undefined for what is none. */
export function enumOf(type: string): ReadonlyMap<string, number> | undefined {
  return ENUMS.get(type);
}

/** The RPCs of a service, in the order of its definition, with their messages. */
export function methodsOf(service: string): ReadonlyMap<string, MethodMessages> {
  const methods = (wire.services as Record<string, Record<string, string>>)[service];
  if (!methods) throw new Error(`the protocol has no service ${service}`);
  return new Map(
    Object.entries(methods).map(([name, text]) => {
      const [request, response] = text.split(' -> ').map((type) => (type.includes('.') ? type : `grpc.${type}`));
      return [name, { request: request!, response: response! }];
    }),
  );
}
