// What server reflection hands out, read back with protobuf's own schema of descriptors.
import assert from 'node:assert/strict';
import protobuf from 'protobufjs';
import descriptorSchema from 'protobufjs/google/protobuf/descriptor.json' with { type: 'json' };
import { files } from '#proto/descriptors.js';
import wire from '../../fixtures/kata-wire.json' with { type: 'json' };

interface Field {
  name: string;
  number: number;
  type: string;
  typeName: string;
  label: string;
  proto3Optional: boolean;
}
interface Message {
  name: string;
  field: Field[];
  nestedType: Message[];
  options?: { mapEntry?: boolean };
}
interface File {
  name: string;
  package: string;
  syntax: string;
  dependency: string[];
  messageType: Message[];
  service: { name: string; method: { name: string; inputType: string }[] }[];
}

const type = protobuf.Root.fromJSON(descriptorSchema).lookupType('google.protobuf.FileDescriptorProto');
const read = (base64: string) =>
  type.toObject(type.decode(Buffer.from(base64, 'base64')), { enums: String, defaults: true }) as File;

describe('the descriptors for reflection', () => {
  const described = files.map((file) => read(file.descriptor));

  it('come with what they import before them', () => {
    const seen = new Set<string>();
    for (const file of described) {
      for (const dependency of file.dependency) assert.ok(seen.has(dependency), `${file.name} comes before ${dependency}`);
      seen.add(file.name);
    }
    assert.deepEqual(
      [...seen],
      files.map(({ name }) => name),
    );
  });

  it('say that they are proto3', () => {
    assert.ok(described.every(({ syntax }) => syntax === 'proto3'));
  });

  it('hold every message of the wire table, with the number of each field', () => {
    const numbers = new Map<string, number[]>(
      described.flatMap((file) =>
        file.messageType.map(
          (message) => [`${file.package}.${message.name}`, message.field.map((field) => field.number)] as const,
        ),
      ),
    );
    for (const [name, fields] of Object.entries(wire.messages)) {
      const expected = fields.map((field) => Number(/= (\d+)/.exec(field)?.[1]));
      assert.deepEqual(numbers.get(name), expected, name);
    }
  });

  it('name every type in full', () => {
    const typed = described.flatMap((file) => file.messageType).flatMap((message) => message.field);
    for (const field of typed) {
      if (field.type === 'TYPE_MESSAGE' || field.type === 'TYPE_ENUM') assert.match(field.typeName, /^\.[a-z]/, field.name);
    }
  });

  it('declare map fields as protoc does, by an entry type of their own', () => {
    const stats = described.flatMap((file) => file.messageType).find(({ name }) => name === 'CgroupStats')!;
    const field = stats.field.find(({ name }) => name === 'hugetlb_stats')!;
    assert.deepEqual([field.label, field.typeName], ['LABEL_REPEATED', '.grpc.CgroupStats.HugetlbStatsEntry']);
    const entry = stats.nestedType.find(({ name }) => name === 'HugetlbStatsEntry')!;
    assert.equal(entry.options?.mapEntry, true);
    assert.equal(entry.field[1]?.typeName, '.grpc.HugetlbStats');
  });

  it('mark optional fields', () => {
    const config = described.flatMap((file) => file.messageType).find(({ name }) => name === 'MemAgentMemcgConfig')!;
    assert.ok(config.field.every(({ proto3Optional }) => proto3Optional));
  });

  it('list each symbol once', () => {
    const symbols = files.flatMap((file) => file.symbols);
    assert.equal(new Set(symbols).size, symbols.length);
    for (const symbol of [
      'grpc.AgentService',
      'grpc.AgentService.CreateContainer',
      'grpc.VolumeUsage.Unit',
      'google.protobuf.Empty',
    ]) {
      assert.ok(new Set<string>(symbols).has(symbol), symbol);
    }
  });
});
