// Checks of paths in a spec, by their text alone: no file system is asked.
import { posix } from 'node:path';
import { quote, refuse } from './refusal.ts';

/** man 3 limits.h, PATH_MAX with its NUL. */
const MAX_PATH_BYTES = 4095;

/**
 * The path without doubled slashes and `.` components.
 * @throws invalid_argument for a relative path, one with `..`, and one the kernel would find too long
 */
export function checkAbsolutePath(path: string, field: string): string {
  if (!path.startsWith('/')) refuse(field, `${quote(path)} is not an absolute path`);
  if (path.split('/').includes('..')) refuse(field, `${quote(path)} holds a \`..\` component`);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) refuse(field, `is longer than ${MAX_PATH_BYTES} bytes`);
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** Whether `path` is `directory` or lies below it; both normal and absolute. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || directory === '/' || path.startsWith(`${directory}/`);
}

/** The links that lead out of any root: another process's root, cwd, fds and namespaces (man 5 proc). */
export function isProcessLink(path: string): boolean {
  return /^\/proc\/(self|thread-self|\d+)(\/|$)/.test(path);
}
