// The checks. Each takes files as text and answers with violations, so that a test can plant one and see it found.
import { PARTS, type Part, RESERVED_IMPORTS } from './arrows.ts';
import { findCycles } from './cycles.ts';
import { findImports, resolveImport, type SourceFile } from './imports.ts';
import { blank } from './source-text.ts';

export interface Violation {
  readonly rule: 'arrow' | 'reserved' | 'cycle' | 'pipe-handle' | 'length' | 'sync-call' | 'name' | 'reap-all' | 'missing';
  readonly path: string;
  readonly line?: number;
  readonly text: string;
}

export const MAX_LINES = 350;

/** Synchronous calls that start-up is allowed, by file. Nothing runs yet that they could hold up. */
export const START_UP_SYNC: Readonly<Record<string, readonly string[]>> = {
  'agent/log-sink.ts': ['fstatSync', 'openSync'],
  // Tests only: the bundle that is shipped has nothing of it.
  'agent/fault-point.ts': ['readFileSync', 'unlinkSync'],
};

export function checkArchitecture(files: readonly SourceFile[]): Violation[] {
  return [checkArrows, checkCycles, checkPipeHandles, checkLength, checkSyncCalls, checkNames, checkReapAll].flatMap((check) =>
    check(files),
  );
}

/** Imports follow the arrows, and reserved packages stay in their parts. */
export function checkArrows(files: readonly SourceFile[]): Violation[] {
  const violations: Violation[] = [];
  for (const { path, text } of scripts(files)) {
    const part = partOf(path);
    for (const { specifier, typeOnly, line } of findImports(text)) {
      const reserved = RESERVED_IMPORTS.find(({ what }) => what.test(specifier));
      if (reserved && !within(path, reserved.only)) {
        violations.push({
          rule: 'reserved',
          path,
          line,
          text: `imports ${specifier}, which only ${reserved.only.join(', ')} may`,
        });
      }
      const target = resolveImport(path, specifier);
      if (target === undefined) continue;
      if (!/\.(ts|mjs|js|json|node)$/.test(target)) {
        violations.push({ rule: 'missing', path, line, text: `imports ${specifier} without the ending of a file` });
        continue;
      }
      const allowed = [part?.path ?? '', ...(part?.mayImport ?? []), ...(typeOnly ? (part?.mayImportTypes ?? []) : [])];
      if (!part) violations.push({ rule: 'arrow', path, line, text: 'belongs to no part of the project' });
      else if (!within(target, allowed)) {
        violations.push({
          rule: 'arrow',
          path,
          line,
          text: `${part.path} must not import ${target}${typeOnly ? ' (type)' : ''}`,
        });
      }
    }
  }
  return violations;
}

export function checkCycles(files: readonly SourceFile[]): Violation[] {
  const graph = new Map<string, string[]>();
  for (const { path, text } of scripts(files)) {
    const targets = findImports(text).map(({ specifier }) => resolveImport(path, specifier));
    graph.set(path, targets.filter((target) => target !== undefined && target !== path) as string[]);
  }
  return findCycles(graph).map((ring) => ({ rule: 'cycle', path: ring[0] ?? '', text: `import each other: ${ring.join(', ')}` }));
}

/** Only this file knows how a vsock descriptor becomes a socket. */
const PIPE_HANDLES = 'agent/transport/pipe-handle.ts';

export function checkPipeHandles(files: readonly SourceFile[]): Violation[] {
  const guarded = files.filter(({ path }) => /^(agent|client)\//.test(path) && path !== PIPE_HANDLES);
  return search(guarded, 'pipe-handle', /process\s*\.\s*binding\b|\bpipe_wrap\b|\bPipeConstants\b|\._handle\b/g);
}

export function checkLength(files: readonly SourceFile[]): Violation[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.replace(/\n$/, '').split('\n').length;
    return lines > MAX_LINES ? [{ rule: 'length' as const, path, text: `has ${lines} lines; at most ${MAX_LINES}` }] : [];
  });
}

export function checkSyncCalls(files: readonly SourceFile[]): Violation[] {
  const agent = files.filter(({ path }) => path.startsWith('agent/'));
  return search(agent, 'sync-call', /\b(\w+Sync)\s*\(/g).filter(
    ({ path, text }) => !START_UP_SYNC[path]?.some((name) => text.includes(`${name}(`)),
  );
}

/** No part of a path is a name that says nothing of what is inside. */
export function checkNames(files: readonly SourceFile[]): Violation[] {
  return files.flatMap(({ path }) => {
    const words = path.toLowerCase().split(/[/._-]/);
    const empty = words.find((word) => /^(utils?|helpers?|common|managers?)$/.test(word));
    return empty ? [{ rule: 'name' as const, path, text: `is named "${empty}"; name it for the one thing it holds` }] : [];
  });
}

/** Waiting for any child steals the exit status of libuv's children; only PID 1 may. */
export function checkReapAll(files: readonly SourceFile[]): Violation[] {
  const guarded = files.filter(({ path }) => /^(agent|native\/addon)\//.test(path));
  return search(
    guarded,
    'reap-all',
    /\bwaitpid\s*\(\s*(-\s*1|\(pid_t\)\s*-\s*1)\b|\bwaitid\s*\(\s*P_ALL\b|\bwait[34]?\s*\(\s*(NULL|nullptr|&)/g,
  );
}

function search(files: readonly SourceFile[], rule: Violation['rule'], pattern: RegExp): Violation[] {
  return files.flatMap(({ path, text }) => {
    const code = blank(text);
    return [...code.matchAll(pattern)].map((match) => ({
      rule,
      path,
      line: code.slice(0, match.index).split('\n').length,
      text: `has ${match[0].trim()}`,
    }));
  });
}

function scripts(files: readonly SourceFile[]): SourceFile[] {
  return files.filter(({ path }) => /\.(ts|mjs)$/.test(path));
}

function partOf(path: string): Part | undefined {
  let best: Part | undefined;
  for (const part of PARTS) if (within(path, [part.path]) && part.path.length > (best?.path.length ?? 0)) best = part;
  return best;
}

function within(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place));
}
