// Our proto files against the table of facts that Kata's hosts rely on (test/fixtures/kata-wire.json). Nothing may be missing, and nothing added.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import protobuf from 'protobufjs';
import wire from '../../fixtures/kata-wire.json' with { type: 'json' };

const FILES = ['agent', 'oci', 'types', 'csi', 'health'];
const folder = path.resolve(import.meta.dirname, '../../../proto');

describe('the proto files of Kata', () => {
  const root = new protobuf.Root();

  before(async () => {
    root.addJSON(protobuf.common.get('google/protobuf/empty.proto')!.nested!);
    for (const file of FILES)
      protobuf.parse(await readFile(path.join(folder, 'kata', `${file}.proto`), 'utf8'), root, { keepCase: true });
    root.resolveAll();
  });

  for (const [name, fields] of Object.entries(wire.messages)) {
    it(`declare ${name} with exactly its fields`, () => {
      assert.deepEqual(root.lookupType(name).fieldsArray.map(describeField).sort(), [...fields].sort());
    });
  }

  for (const [name, values] of Object.entries(wire.enums)) {
    it(`declare the enum ${name} with exactly its values`, () => {
      assert.deepEqual({ ...root.lookupEnum(name).values }, values);
    });
  }

  for (const [name, methods] of Object.entries(wire.services)) {
    it(`declare the service ${name} with exactly its methods`, () => {
      const service = root.lookupService(name);
      const ours = service.methodsArray.map((method) => {
        assert.ok(!method.requestStream && !method.responseStream, `${method.name} must be unary`);
        return [method.name, `${shortName(method.resolvedRequestType!)} -> ${shortName(method.resolvedResponseType!)}`];
      });
      assert.deepEqual(Object.fromEntries(ours), methods);
    });
  }

  it('declare nothing else', () => {
    const known = [...Object.keys(wire.messages), ...Object.keys(wire.enums), ...Object.keys(wire.services)];
    assert.deepEqual(declared(root).sort(), known.sort());
  });
});

/** `repeated grpc.Device devices = 4`, as the fixture has it. */
function describeField(field: protobuf.Field): string {
  const type = field.resolvedType ? field.resolvedType.fullName.slice(1) : field.type;
  const oneof = field.partOf && !field.partOf.isProto3Optional ? ` oneof ${field.partOf.name}` : '';
  return `${label(field, type)} ${field.name} = ${field.id}${oneof}`;
}

function label(field: protobuf.Field, type: string): string {
  if (field instanceof protobuf.MapField) return `map<${field.keyType},${type}>`;
  if (field.repeated) return `repeated ${type}`;
  return field.partOf?.isProto3Optional ? `optional ${type}` : type;
}

/** The table leaves out the package of a service's own messages. */
function shortName(type: protobuf.Type): string {
  return type.fullName.slice(1).replace(/^grpc\./, '');
}

function declared(namespace: protobuf.NamespaceBase): string[] {
  return namespace.nestedArray.flatMap((item) => {
    const own =
      item instanceof protobuf.Type || item instanceof protobuf.Enum || item instanceof protobuf.Service
        ? [item.fullName.slice(1)]
        : [];
    return [...own, ...(item instanceof protobuf.Namespace ? declared(item) : [])];
  });
}
