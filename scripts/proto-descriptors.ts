// Turns .proto files into google.protobuf.FileDescriptorProto, imports first: what server reflection hands out.
// protobufjs's own conversion knows packages, not files, and misnames map entries.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import protobuf from 'protobufjs';
import descriptorSchema from 'protobufjs/google/protobuf/descriptor.json' with { type: 'json' };

/** FieldDescriptorProto.Type by the name a scalar has in a .proto file. */
const SCALAR_TYPES: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
};
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;
const LABEL_OPTIONAL = 1;
const LABEL_REPEATED = 3;

/** One file, as server reflection needs it. */
export interface DescribedFile {
  /** As others import it. */
  name: string;
  /** Imports of this file. */
  dependencies: readonly string[];
  /** Full names of the messages, enums, services and methods it declares. */
  symbols: readonly string[];
  /** Encoded FileDescriptorProto. */
  descriptor: Uint8Array;
}

/** Describes `files` (paths below `directory`) and everything they import, imports first. */
export function describeProtos(directory: string, files: readonly string[]): DescribedFile[] {
  const root = new protobuf.Root();
  const imports = new Map<string, string[]>();
  const load = (file: string) => {
    if (imports.has(file)) return;
    const dependencies = parseInto(root, directory, file);
    for (const dependency of dependencies) load(dependency);
    imports.set(file, dependencies);
  };
  for (const file of files) load(file);
  root.resolveAll();
  const type = protobuf.Root.fromJSON(descriptorSchema).lookupType('google.protobuf.FileDescriptorProto');
  return [...imports].map(([name, dependencies]) => {
    const own = declarations(root).filter((item) => item.filename === name);
    const descriptor = type.encode(type.fromObject(describeFile(name, dependencies, own))).finish();
    return { name, dependencies, symbols: own.flatMap(symbolsOf), descriptor };
  });
}

/** Adds the declarations of a file to `root` and returns the files it imports. */
function parseInto(root: protobuf.Root, directory: string, file: string): string[] {
  const bundled = protobuf.common.get(file);
  if (bundled) {
    root.addJSON(bundled.nested!);
    for (const item of declarations(root)) item.filename ??= file;
    return [];
  }
  // Read by the parser and written into each declaration; its own types leave it out.
  (protobuf.parse as { filename?: string }).filename = file;
  return protobuf.parse(readFileSync(path.join(directory, file), 'utf8'), root, { keepCase: true }).imports ?? [];
}

function describeFile(name: string, dependency: readonly string[], own: readonly protobuf.ReflectionObject[]): object {
  return {
    name,
    package: own[0]?.parent?.fullName.slice(1),
    syntax: 'proto3',
    dependency,
    messageType: own.filter((item) => item instanceof protobuf.Type).map(describeMessage),
    enumType: own.filter((item) => item instanceof protobuf.Enum).map(describeEnum),
    service: own.filter((item) => item instanceof protobuf.Service).map(describeService),
  };
}

function symbolsOf(item: protobuf.ReflectionObject): string[] {
  const name = item.fullName.slice(1);
  if (item instanceof protobuf.Service) return [name, ...item.methodsArray.map((method) => `${name}.${method.name}`)];
  if (item instanceof protobuf.Type) return [name, ...item.nestedArray.flatMap(symbolsOf)];
  return [name];
}

/** Top-level messages, enums and services of all packages. */
function declarations(namespace: protobuf.NamespaceBase): protobuf.ReflectionObject[] {
  return namespace.nestedArray.flatMap((item) =>
    item instanceof protobuf.Namespace && !(item instanceof protobuf.Type || item instanceof protobuf.Service)
      ? declarations(item)
      : [item],
  );
}

function describeMessage(type: protobuf.Type): object {
  // The synthetic oneofs of `optional` fields come after the real ones (descriptor.proto, FieldDescriptorProto.proto3_optional).
  const oneofs = [...type.oneofsArray].sort((a, b) => Number(a.isProto3Optional) - Number(b.isProto3Optional));
  return {
    name: type.name,
    field: type.fieldsArray.map((field) => describeField(field, oneofs)),
    nestedType: [
      ...type.fieldsArray.filter((field) => field instanceof protobuf.MapField).map(describeMapEntry),
      ...type.nestedArray.filter((item) => item instanceof protobuf.Type).map(describeMessage),
    ],
    enumType: type.nestedArray.filter((item) => item instanceof protobuf.Enum).map(describeEnum),
    oneofDecl: oneofs.map((oneof) => ({ name: oneof.name })),
  };
}

function describeField(field: protobuf.Field, oneofs: readonly protobuf.OneOf[]): object {
  const base = { name: field.name, number: field.id, jsonName: protobuf.util.camelCase(field.name) };
  if (field instanceof protobuf.MapField) {
    const typeName = `${field.parent!.fullName}.${mapEntryName(field)}`;
    return { ...base, label: LABEL_REPEATED, type: TYPE_MESSAGE, typeName };
  }
  const label = field.repeated ? LABEL_REPEATED : LABEL_OPTIONAL;
  const oneof = field.partOf ? { oneofIndex: oneofs.indexOf(field.partOf) } : {};
  const optional = field.partOf?.isProto3Optional ? { proto3Optional: true } : {};
  return { ...base, label, ...fieldType(field), ...oneof, ...optional };
}

function fieldType(field: protobuf.FieldBase): object {
  const scalar = SCALAR_TYPES[field.type];
  if (scalar !== undefined) return { type: scalar };
  const resolved = field.resolvedType;
  if (!resolved) throw new Error(`${field.fullName}: no type named ${field.type}`);
  return { type: resolved instanceof protobuf.Enum ? TYPE_ENUM : TYPE_MESSAGE, typeName: resolved.fullName };
}

function describeMapEntry(field: protobuf.MapField): object {
  return {
    name: mapEntryName(field),
    field: [
      { name: 'key', number: 1, label: LABEL_OPTIONAL, type: SCALAR_TYPES[field.keyType], jsonName: 'key' },
      { name: 'value', number: 2, label: LABEL_OPTIONAL, ...fieldType(field), jsonName: 'value' },
    ],
    options: { mapEntry: true },
  };
}

/** protoc's own naming: `hugetlb_stats` -> `HugetlbStatsEntry`. */
function mapEntryName(field: protobuf.MapField): string {
  return `${protobuf.util.ucFirst(protobuf.util.camelCase(field.name))}Entry`;
}

function describeEnum(type: protobuf.Enum): object {
  return { name: type.name, value: Object.entries(type.values).map(([name, number]) => ({ name, number })) };
}

function describeService(service: protobuf.Service): object {
  const method = service.methodsArray.map((each) => ({
    name: each.name,
    inputType: each.resolvedRequestType!.fullName,
    outputType: each.resolvedResponseType!.fullName,
    clientStreaming: each.requestStream ?? false,
    serverStreaming: each.responseStream ?? false,
  }));
  return { name: service.name, method };
}
