// The machine as the doctor sees it, small enough that a test can be any machine.
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, open, readFile, realpath } from 'node:fs/promises';
import { arch, release, userInfo } from 'node:os';
import { errnoOf } from '../../agent/errors.ts';
import { findTool, type Tool } from '../vm/tools.ts';

export interface Ran {
  /** Undefined when it was killed or could not be started. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface System {
  /** As `uname -r` and Node name them. */
  readonly kernelRelease: string;
  readonly architecture: string;
  readonly user: { readonly name: string; readonly uid: number };
  /** A file's text; undefined when it can't be read. */
  read(path: string): Promise<string | undefined>;
  exists(path: string): Promise<boolean>;
  /** Opens for reading and writing, and closes. @returns the errno name of the failure, undefined when it works */
  openDevice(path: string): Promise<string | undefined>;
  find(tool: Tool): string | undefined;
  /** @param timeoutMs then it is killed */
  run(file: string, args: readonly string[], timeoutMs: number): Promise<Ran>;
}

/** Programs of the system are found where root's are, also for a user whose PATH has no sbin. */
const SYSTEM_PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
const OUTPUT_MAX = 1 << 20;

export function thisSystem(): System {
  const { username, uid } = userInfo();
  return {
    kernelRelease: release(),
    architecture: arch(),
    user: { name: username, uid },
    read: (path) => readFile(path, 'utf8').catch(() => undefined),
    exists: (path) =>
      access(path, constants.F_OK).then(
        () => true,
        () => false,
      ),
    openDevice,
    find: findTool,
    run,
  };
}

async function openDevice(path: string): Promise<string | undefined> {
  try {
    await (await open(await realpath(path), constants.O_RDWR | constants.O_NONBLOCK)).close();
    return undefined;
  } catch (error) {
    return errnoOf(error) ?? 'unknown error';
  }
}

async function run(file: string, args: readonly string[], timeoutMs: number): Promise<Ran> {
  const options = {
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_MAX,
    env: { ...process.env, PATH: SYSTEM_PATH },
  } as const;
  return await new Promise((resolve) => {
    execFile(file, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : undefined;
      resolve({ code, stdout, stderr: stderr === '' && code === undefined ? String(error?.message) : stderr });
    });
  });
}
