// docs/api/typescript.md: what `import ... from 'berth'` gives, from the declarations and doc comments of client/index.ts.
import { dirname, join, relative, resolve } from 'node:path';
import { type ClassElement, type Node, type SourceFile, type Statement, SyntaxKind } from 'typescript/unstable/ast';
import { API, type Program } from 'typescript/unstable/sync';
import { prose, stripComment } from './doc-comment.ts';

const INDEX = 'client/index.ts';

const INTRODUCTION = `# TypeScript API

What \`import ... from 'berth'\` gives; [typescript.md](../typescript.md) tells how it is used, by examples. Types \`berth.v1.…\` are the
messages of [the protocol](berth.v1.md). This page is written by \`npm run docs\` from the doc comments in \`client/\`; a test fails when the two
differ.
`;

/** One name that the package exports. */
interface Exported {
  readonly name: string;
  /** As it is called where it is declared. */
  readonly localName: string;
  readonly file: string;
}

/** @param root of the checkout @throws Error naming an export without a doc comment */
export function renderTypeScript(root: string): string {
  const api = new API({ cwd: root });
  try {
    const [project] = api.updateSnapshot({ openProjects: [join(root, 'tsconfig.json')] }).getProjects();
    const { program } = project!;
    const all = exportsOf(sourceOf(program, join(root, INDEX)), root).sort((a, b) => (a.name < b.name ? -1 : 1));
    const sections = all.map((exported) => section(program, root, exported));
    const list = all.map(({ name }) => `[${name}](#${name.toLowerCase()})`).join(', ');
    return `${INTRODUCTION}\n${list}\n\n${sections.join('\n')}`;
  } finally {
    api.close();
  }
}

function sourceOf(program: Program, path: string): SourceFile {
  const source = program.getSourceFile(path);
  if (source === undefined) throw new Error(`${path} is no part of the project`);
  return source;
}

function exportsOf(index: SourceFile, root: string): Exported[] {
  return index.statements.flatMap((statement) => {
    if (statement.kind !== SyntaxKind.ExportDeclaration) return [];
    const text = statement.getText(index);
    const from = /from '([^']+)';$/.exec(text)?.[1];
    const names = /\{([\s\S]*)\}/.exec(text)?.[1];
    if (from === undefined || names === undefined) throw new Error(`${INDEX}: not understood: ${text}`);
    const file = relative(root, resolve(root, dirname(INDEX), from));
    return names
      .split(',')
      .map((name) => name.trim().replace(/^type /, ''))
      .filter((name) => name !== '')
      .map((name) => {
        const [localName = '', as = localName] = name.split(' as ');
        return { name: as, localName, file };
      });
  });
}

function section(program: Program, root: string, { name, localName, file }: Exported): string {
  const source = sourceOf(program, join(root, file));
  const statement = source.statements.find((each) => nameOf(each) === localName);
  if (statement === undefined) throw new Error(`${file} does not declare ${localName}`);
  const comment = commentOf(statement, source);
  if (comment === undefined) throw new Error(`${file}: ${localName} is exported and has no doc comment`);
  const where = `[${file}](../../${file})`;
  return `## ${name}\n\n${prose(comment)}\n\n\`\`\`ts\n${declaration(statement, source)}\n\`\`\`\n\n${where}\n`;
}

function nameOf(statement: Statement): string | undefined {
  const { name } = statement as Statement & { name?: { text?: string } };
  return name?.text;
}

function commentOf(node: Node, source: SourceFile): string | undefined {
  const { jsDoc } = node as Node & { jsDoc?: readonly Node[] };
  const last = jsDoc?.at(-1);
  if (last === undefined) return undefined;
  // What is before it belongs to the file.
  const text = source.text.slice(last.pos, last.end);
  return stripComment(text.slice(text.lastIndexOf('/**')));
}

/** The statement as a declaration file would have it, with the comments of its members. */
function declaration(statement: Statement, source: SourceFile): string {
  const text = withoutExport(statement.getText(source));
  if (statement.kind === SyntaxKind.ClassDeclaration) return classText(statement, source);
  if (statement.kind === SyntaxKind.FunctionDeclaration) return withoutBody(statement, source);
  return text;
}

function withoutExport(text: string): string {
  return text.replace(/^export /, '');
}

/** What is before the block; a semicolon in its place. */
function withoutBody(node: Node, source: SourceFile): string {
  const { body } = node as Node & { body?: Node };
  const text = node.getText(source);
  if (body === undefined) return text;
  const head = text.slice(0, body.getStart(source) - node.getStart(source)).trimEnd();
  return `${withoutExport(head).replace(/^(async )?\*?/, '')};`;
}

function classText(statement: Statement, source: SourceFile): string {
  const { members } = statement as Statement & { members: readonly ClassElement[] };
  const head = statement.getText(source).split('{', 1)[0]!.trimEnd();
  const lines = members.filter((member) => isPublic(member, source, head)).map((member) => memberText(member, source));
  return `${withoutExport(head)} {\n${lines.join('\n')}\n}`;
}

/** What starts with # or says `private`, `protected` or `@internal` is nobody's business; objects other than errors come from methods. */
function isPublic(member: ClassElement, source: SourceFile, head: string): boolean {
  const text = member.getText(source);
  if (member.kind === SyntaxKind.Constructor && !/extends Error\b/.test(head)) return false;
  if (/^(#|private |protected |(readonly |async |static )*\*?#|get #|set #|readonly \[brand\])/.test(text)) return false;
  return !(commentOf(member, source)?.includes('@internal') ?? false);
}

function memberText(member: ClassElement, source: SourceFile): string {
  const comment = commentOf(member, source);
  const told = comment === undefined ? [] : [`  /** ${comment.split('\n').join('\n   * ')} */`];
  const { initializer } = member as ClassElement & { initializer?: Node };
  const whole = withoutBody(member, source);
  const text = initializer === undefined ? whole : `${whole.slice(0, whole.lastIndexOf('=')).trimEnd()};`;
  return [...told, `  ${text}`].join('\n');
}
