// docs/api/berth.v1.md: the services and messages of proto/berth/v1, from their comments.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { cell } from './doc-comment.ts';

const INTRODUCTION = `# berth.v1

The protocol, over gRPC on the port where Kata's API is (docs/kata.md) and, for calls without streams, over ttrpc as well. Written by
\`npm run docs\` from the comments in \`proto/berth/v1\`; a test fails when the two differ. [typescript.md](../typescript.md) tells of the client
for it, [processes.md](../processes.md) and [streams.md](../streams.md) what is behind it.
`;

/** A file of the protocol and what it declares. */
interface ProtoFile {
  readonly name: string;
  readonly about: string;
  readonly items: readonly protobuf.ReflectionObject[];
}

/** @param directory that holds `berth/v1` @param files names in it */
export function renderProtocol(directory: string, files: readonly string[]): string {
  const parsed = files.map((name) => parseFile(join(directory, 'berth/v1', name), name));
  const known: Anchors = new Map(parsed.flatMap(({ items }) => items.flatMap(anchorsOf)));
  const list = parsed.map(({ name, about }) => `- [${name}](#${name.replace('.', '')}): ${about}`).join('\n');
  const sections = parsed.map(({ name, about, items }) => {
    const parts = items.flatMap((item) => itemSections(item, known));
    return `## ${name}\n\n${about}\n\n${parts.join('\n')}`;
  });
  return `${INTRODUCTION}\n${list}\n\n${sections.join('\n')}`;
}

function parseFile(path: string, name: string): ProtoFile {
  const text = readFileSync(path, 'utf8');
  // Comments of two slashes are comments here.
  const { root } = protobuf.parse(text, { keepCase: true, alternateCommentMode: true });
  const about = /^((?:\/\/.*\n)+)syntax/.exec(text)?.[1] ?? '';
  const namespace = root.lookup('berth.v1') as protobuf.Namespace;
  return {
    name,
    about: about
      .replace(/^\/\/ ?/gm, '')
      .replaceAll('\n', ' ')
      .trim(),
    items: namespace.nestedArray,
  };
}

function shortName(item: protobuf.ReflectionObject): string {
  return item.fullName.replace(/^\.berth\.v1\./, '');
}

/** Where each declaration is on the page. */
type Anchors = ReadonlyMap<string, string>;

function anchorsOf(item: protobuf.ReflectionObject): [string, string][] {
  const nested = item instanceof protobuf.Type ? item.nestedArray.flatMap(anchorsOf) : [];
  return [[shortName(item), title(item).toLowerCase().replaceAll('.', '').replaceAll(' ', '-')], ...nested];
}

function title(item: protobuf.ReflectionObject): string {
  const kind = item instanceof protobuf.Service ? 'service' : item instanceof protobuf.Enum ? 'enum' : 'message';
  return `${kind} ${shortName(item)}`;
}

function itemSections(item: protobuf.ReflectionObject, known: Anchors): string[] {
  if (item instanceof protobuf.Service) return [serviceSection(item, known)];
  if (item instanceof protobuf.Enum) return [enumSection(item)];
  if (!(item instanceof protobuf.Type)) return [];
  return [messageSection(item, known), ...item.nestedArray.flatMap((nested) => itemSections(nested, known))];
}

function serviceSection(service: protobuf.Service, known: Anchors): string {
  const rows = service.methodsArray.map((method) => {
    const side = (type: string, stream: boolean | undefined) => `${stream ? 'stream of ' : ''}${link(type, service, known)}`;
    const takes = side(method.requestType, method.requestStream);
    const answers = side(method.responseType, method.responseStream);
    return `| \`${method.name}\` | ${takes} | ${answers} | ${cell(method.comment ?? '')} |`;
  });
  return table(service, ['method', 'takes', 'answers', 'what it does'], rows);
}

function messageSection(type: protobuf.Type, known: Anchors): string {
  if (type.fieldsArray.length === 0) return `${heading(type)}${paragraph(type)}No fields.\n`;
  const rows = type.fieldsArray.map((field) => {
    const choice = field.partOf && !field.partOf.isProto3Optional ? ` (one of \`${field.partOf.name}\`)` : '';
    return `| ${field.id} | \`${field.name}\`${choice} | ${fieldType(field, known)} | ${cell(field.comment ?? '')} |`;
  });
  return table(type, ['number', 'field', 'type', 'meaning'], rows);
}

function enumSection(type: protobuf.Enum): string {
  const rows = Object.entries(type.values).map(
    ([name, number]) => `| ${number} | \`${name}\` | ${cell(type.comments[name] ?? '')} |`,
  );
  return table(type, ['number', 'value', 'meaning'], rows);
}

function table(item: protobuf.ReflectionObject, titles: readonly string[], rows: readonly string[]): string {
  const head = [`| ${titles.join(' | ')} |`, `|${titles.map(() => '---').join('|')}|`];
  return `${heading(item)}${paragraph(item)}${[...head, ...rows].join('\n')}\n`;
}

function heading(item: protobuf.ReflectionObject): string {
  return `### ${title(item)}\n\n`;
}

function paragraph({ comment }: protobuf.ReflectionObject): string {
  return comment ? `${comment.replaceAll('\n', ' ')}\n\n` : '';
}

function fieldType(field: protobuf.Field, known: Anchors): string {
  const value = link(field.type, field.parent!, known);
  if (field instanceof protobuf.MapField) return `map of ${field.keyType} to ${value}`;
  if (field.repeated) return `repeated ${value}`;
  return field.partOf?.isProto3Optional ? `optional ${value}` : value;
}

/** The innermost declaration of that name, as protoc looks it up. */
function link(type: string, from: protobuf.ReflectionObject, known: Anchors): string {
  for (let scope = shortName(from); ; scope = scope.split('.').slice(0, -1).join('.')) {
    const name = scope === '' ? type : `${scope}.${type}`;
    const anchor = known.get(name);
    if (anchor !== undefined) return `[${type}](#${anchor})`;
    if (scope === '') return type;
  }
}
