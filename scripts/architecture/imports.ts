// Finds what a TypeScript file imports: static, type-only, re-exported, dynamic, and through require.
import { posix } from 'node:path';
import { blank } from './source-text.ts';

export interface Import {
  /** As written: './x.ts', 'winston', '#proto/kata.js'. */
  readonly specifier: string;
  /** Erased at run time. */
  readonly typeOnly: boolean;
  readonly line: number;
}

/** A file by its path from the project's top. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const STATEMENT = /(?<![.\w$])(import|export)(\s+type\b(?!\s+from\b))?(?:[\w\s{},*$]*?\bfrom)?\s*(?=['"])/g;
const CALL = /(?<![.\w$])(?:import|require)\s*\(\s*(?=['"])/g;

export function findImports(text: string): Import[] {
  const code = blank(text);
  const found: Import[] = [];
  for (const pattern of [STATEMENT, CALL]) {
    for (const match of code.matchAll(pattern)) {
      const quote = match.index + match[0].length;
      const end = code.indexOf(code[quote] ?? '', quote + 1);
      if (end === -1) continue;
      found.push({
        specifier: text.slice(quote + 1, end),
        typeOnly: match[2] !== undefined,
        line: text.slice(0, match.index).split('\n').length,
      });
    }
  }
  return found;
}

/** The project path a relative import means, else undefined. */
export function resolveImport(from: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : undefined;
}

/** The package of a bare specifier: '@grpc/grpc-js' for '@grpc/grpc-js/build/x'. */
export function packageOf(specifier: string): string | undefined {
  if (/^(\.|#|node:)/.test(specifier)) return undefined;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
