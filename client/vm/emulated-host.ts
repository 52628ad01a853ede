// The third way: QEMU emulates a whole host whose processor has virtualisation, and a command runs in it. The emulated
// host has this machine's file system, read-only, and a /dev/kvm and /dev/vhost-vsock that are real (rootfs/host-init.sh).
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, isErrno } from '../../agent/errors.ts';
import { type Child, startChild } from './child.ts';
import { type Console, followConsole } from './console.ts';
import { imageFolder } from './options.ts';
import { projectRoot } from './project-root.ts';
import { EMULATION } from './qemu-args.ts';
import { runRoot } from './run-dir.ts';
import { findTool, toolPackages } from './tools.ts';

const POLL_MS = 50;
const STOP_MS = 2_000;
/** What is kept of the output to return; everything goes to `onOutput` and to the file. */
const KEPT_OUTPUT = 4 << 20;
const SHOWN_LINES = 40;
/**
 * One of three long runs hung: tasks of the host were blocked for minutes while one of its two processors did nothing.
 * Why is not known. A periodic tick is a precaution for the case that a wake-up was lost; it has not been shown to help.
 */
const HOST_CMDLINE = 'console=ttyS0 quiet panic=-1 nohz=off highres=off';
/** What the kernel says of tasks or processors that make no progress. */
const HUNG = /blocked for more than \d+ seconds|soft lockup|detected (expedited )?stalls/;

export interface EmulatedHostOptions {
  /** For the boot of the host and the command together. Default 600 000. */
  timeoutMs?: number;
  /** Added to a bare environment of PATH, HOME, TMPDIR and the choice of the direct way under KVM. */
  env?: Readonly<Record<string, string>>;
  /** Default: the working directory of this process. */
  cwd?: string;
  /**
   * A folder that both machines can write, /run/work inside; `run`, `keep`, `status` and `output` in it are the launcher's.
   * Default: a temporary one, gone afterwards.
   */
  workDir?: string;
  /** MiB; default 4096. */
  memory?: number;
  /** Default 2. */
  cpus?: number;
  /** The command's stdout and stderr as they come, in one stream. */
  onOutput?: (bytes: Buffer) => void;
  /** Where the host's console goes. Default: nowhere; its end is part of the error's message when the host fails. */
  consoleLog?: string;
}

export interface EmulatedRun {
  /** The command's exit code, as a shell gives it: 128 and the signal's number for a killed one. */
  code: number;
  /** The last 4 MiB of its stdout and stderr. */
  output: string;
}

/**
 * Boots an emulated host, runs the command in it and powers it off.
 * @throws AgentError failed_precondition when QEMU or the host's kernel is missing, deadline_exceeded when time is up,
 * unavailable when the host hung or ended before its command; the last two carry the end of the console and of the output.
 */
export async function runInEmulatedHost(command: readonly string[], options: EmulatedHostOptions = {}): Promise<EmulatedRun> {
  if (command.length === 0) throw new AgentError('invalid_argument', 'command: empty', { fields: { field: 'command' } });
  const qemu = findTool('qemu-system-x86_64');
  if (qemu === undefined) {
    throw new AgentError(
      'failed_precondition',
      `QEMU is not installed; install Debian's package ${toolPackages['qemu-system-x86_64']}`,
    );
  }
  const scratch = options.workDir === undefined ? mkdtempSync(join(runRoot(), 'host-')) : undefined;
  const work = resolve(options.workDir ?? scratch!);
  try {
    await prepare(work, command, options);
    let hung = false;
    const child = await startChild('the emulated host', [qemu, ...hostArguments(work, options)], 'pipe');
    const console = followConsole(child.stdout!, options.consoleLog, {
      onLine: (line) => {
        hung ||= HUNG.test(line);
      },
    });
    try {
      return await attend(child, console, work, options, () => hung);
    } finally {
      await child.stop(STOP_MS);
      await console.done;
    }
  } finally {
    if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
  }
}

function hostArguments(work: string, options: EmulatedHostOptions): string[] {
  const { memory = 4096, cpus = 2 } = options;
  const folder = imageFolder();
  const share = (path: string, tag: string) =>
    `local,path=${path.replaceAll(',', ',,')},mount_tag=${tag},security_model=none,multidevs=remap`;
  return [
    ...['-accel', EMULATION, '-cpu', 'max', '-machine', 'q35', '-smp', String(cpus), '-m', `${memory}M`],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-name', 'berth-host'],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-kernel', join(folder, 'host-vmlinuz'), '-initrd', join(folder, 'host-initramfs.cpio.gz'), '-append', HOST_CMDLINE],
    ...['-virtfs', `${share('/', 'hostroot')},readonly=on`, '-virtfs', share(work, 'work')],
  ];
}

async function prepare(work: string, command: readonly string[], options: EmulatedHostOptions): Promise<void> {
  await mkdir(work, { recursive: true });
  await Promise.all(['status', 'output'].map((name) => rm(join(work, name), { force: true })));
  await writeFile(join(work, 'output'), '');
  await writeFile(join(work, 'run'), hostScript(command, options));
  // They stay visible inside even when they lie below /tmp or /run, where the emulated host has its own.
  const keep = new Set([projectRoot, imageFolder()].map((folder) => realpathSync(folder)));
  for (const folder of keep) {
    if (folder.includes('\n')) throw new AgentError('failed_precondition', `a line break in the path ${JSON.stringify(folder)}`);
  }
  await writeFile(join(work, 'keep'), [...keep].map((folder) => `${folder}\n`).join(''));
}

/** The script that host-init.sh runs; its exit status is the command's. */
export function hostScript(command: readonly string[], options: Pick<EmulatedHostOptions, 'env' | 'cwd'>): string {
  const env = {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: '/tmp',
    TMPDIR: '/tmp',
    XDG_STATE_HOME: '/run/state',
    XDG_RUNTIME_DIR: '/run',
    BERTH_VM_WAY: 'direct',
    BERTH_VM_ACCEL: 'kvm',
    ...options.env,
  };
  const lines = ['exec >> /run/work/output 2>&1', `cd ${quote(resolve(options.cwd ?? '.'))} || exit 126`];
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_]\w*$/.test(name))
      throw new AgentError('invalid_argument', `env: ${JSON.stringify(name)} is no variable's name`);
    lines.push(`export ${name}=${quote(value)}`);
  }
  return `${lines.join('\n')}\n${command.map(quote).join(' ')}\n`;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

async function attend(
  child: Child,
  console: Console,
  work: string,
  options: EmulatedHostOptions,
  hung: () => boolean,
): Promise<EmulatedRun> {
  const { timeoutMs = 600_000, onOutput } = options;
  const deadline = performance.now() + timeoutMs;
  const kept: Buffer[] = [];
  let keptBytes = 0;
  await using file = await open(join(work, 'output'), 'r');
  const chunk = Buffer.alloc(64 << 10);
  const drain = async () => {
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length);
      if (bytesRead === 0) return;
      const bytes = Buffer.from(chunk.subarray(0, bytesRead));
      onOutput?.(bytes);
      kept.push(bytes);
      keptBytes += bytesRead;
      while (keptBytes > KEPT_OUTPUT && kept.length > 1) keptBytes -= kept.shift()!.length;
    }
  };
  while (child.running && performance.now() < deadline && !hung()) {
    await Promise.race([child.ended, sleep(POLL_MS)]);
    await drain();
  }
  const failure = hung()
    ? ({ code: 'unavailable', what: 'the emulated host has hung' } as const)
    : child.running
      ? ({ code: 'deadline_exceeded', what: `the emulated host was not done after ${timeoutMs} ms` } as const)
      : undefined;
  await child.stop(STOP_MS);
  await console.done;
  await drain();
  const output = Buffer.concat(kept).toString();
  const code = failure === undefined ? await readStatus(join(work, 'status')) : undefined;
  if (code !== undefined) return { code, output };
  const what = failure?.what ?? `the emulated host ended before its command: ${child.stderr().trim()}`;
  const ends = [`its console ends:`, ...console.tail(SHOWN_LINES), 'its output ends:', output.slice(-4096)].join('\n');
  throw new AgentError(failure?.code ?? 'unavailable', `${what}; ${ends}`);
}

async function readStatus(path: string): Promise<number | undefined> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
