// `berth run`: a new container and a command in it.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { AgentError, hasCode } from '../../agent/errors.ts';
import type { Container, CreateOptions } from '../api/container.ts';
import { EXIT_BERTH, exitOfSignal, exitOfStartError } from '../exit-status.ts';
import { parseBytes, parseCpuQuota } from '../quantity.ts';
import { parseRootfs } from '../rootfs.ts';
import type { Arguments } from './arguments.ts';
import { reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { DETACHED_OUTPUT, PROCESS_OPTIONS, processOptions, readAccounts, sessionOptions, userOption } from './process-options.ts';
import { leaveReaping } from './reap.ts';
import { DRAIN_MS, Session } from './session.ts';
import { numberOf, SignalRelay } from './signal-relay.ts';
import { openTarget, shareDirectory, type Target } from './target.ts';
import { TARGET_OPTIONS, type Verb } from './verb.ts';

const DEFAULT_ROOTFS = 'debian';
/** The agent's rule for ids. */
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{1,127}$/;
const DEFAULT_COMMAND: readonly string[] = ['/bin/sh'];

export const run: Verb = {
  name: 'run',
  usage: '[OPTIONS] [--] [COMMAND] [ARG...]',
  summary: 'Runs a command in a new container.',
  description:
    "Its exit status becomes berth's own; 126 and 127 mean that it can't be run or is not there, 125 that berth failed.\n" +
    'Where no VM runs, the VM named default is started first. With -d the newest 512 KiB of each output are kept for logs.',
  options: {
    ...PROCESS_OPTIONS,
    ...TARGET_OPTIONS,
    rm: { kind: 'flag', help: 'remove the container when it has ended' },
    name: { kind: 'text', value: 'NAME', help: 'name of the container, which is its id (default random)' },
    rootfs: {
      kind: 'text',
      value: 'ROOT',
      help: `busybox, debian, share:DIR of a VM started with --share, or blk:/dev/vdX[:FSTYPE] (default ${DEFAULT_ROOTFS})`,
    },
    entrypoint: { kind: 'text', value: 'PROGRAM', help: 'program to run with COMMAND as its arguments' },
    memory: { kind: 'text', short: 'm', value: 'BYTES', help: 'memory limit, e.g. 512m' },
    cpus: { kind: 'text', value: 'NUMBER', help: 'CPU time limit, e.g. 1.5' },
    'pids-limit': { kind: 'text', value: 'NUMBER', help: 'most processes and threads at a time' },
    'read-only': { kind: 'flag', help: 'mount the root read-only' },
    'cap-add': { kind: 'list', value: 'CAP', help: 'give a capability, or ALL' },
    'cap-drop': { kind: 'list', value: 'CAP', help: 'take a capability, or ALL' },
    'no-new-privileges': { kind: 'flag', help: 'no privileges from set-user-id programs' },
  },
  commandFollows: true,

  async run(args) {
    // What can be refused without a VM is refused before one is started.
    sessionOptions(args);
    const wanted = { ...limitOptions(args), ...(await processOptions(args)), ...streamOptions(args), id: nameOption(args) };
    using relay = new SignalRelay();
    const opened = await openTarget(args, { start: true, signal: relay.aborted }).catch(relay.unlessInterrupted);
    if (opened === undefined) return exitOfSignal(numberOf(relay.pending!));
    await using target = opened;
    const options = { ...wanted, ...(await rootOptions(args, target)) };
    const container = await target.guest.create(options).catch((error: unknown) => reportError(error, exitOfStartError(error)));
    if (typeof container === 'number') return container;
    return await runContainer(container, args, relay, target);
  },
};

function limitOptions(args: Arguments): Partial<CreateOptions> {
  const memory = args.text('memory');
  const cpus = args.text('cpus');
  const pids = args.text('pids-limit');
  if (pids !== undefined && !/^[1-9]\d{0,9}$/.test(pids)) {
    throw new AgentError('invalid_argument', `invalid --pids-limit '${pids}': give a number from 1`, {
      fields: { field: 'pids-limit' },
    });
  }
  return {
    ...(memory === undefined ? {} : { memoryBytes: parseBytes(memory, '--memory') }),
    ...(cpus === undefined ? {} : { cpuQuotaUs: parseCpuQuota(cpus) }),
    ...(pids === undefined ? {} : { pidsLimit: Number(pids) }),
    capAdd: args.list('cap-add'),
    capDrop: args.list('cap-drop'),
    noNewPrivileges: args.flag('no-new-privileges'),
    readonlyRoot: args.flag('read-only'),
  };
}

function streamOptions(args: Arguments): Pick<CreateOptions, 'stdin' | 'stdout' | 'stderr'> {
  return { stdin: args.flag('interactive'), ...(args.flag('detach') ? DETACHED_OUTPUT : {}) };
}

function nameOption(args: Arguments): string {
  const id = args.text('name') ?? randomBytes(6).toString('hex');
  if (ID.test(id)) return id;
  const rule = '2 to 128 letters, digits, and _ . - after the first';
  throw new AgentError('invalid_argument', `invalid container name '${id}': ${rule}`, { fields: { field: 'name' } });
}

async function rootOptions(args: Arguments, target: Target): Promise<Pick<CreateOptions, 'rootfs' | 'args' | 'user'>> {
  const rootfs = parseRootfs(shareDirectory(args.text('rootfs') ?? DEFAULT_ROOTFS, target), target.disks);
  const entrypoint = args.text('entrypoint');
  const command = entrypoint === undefined ? args.positionals : [entrypoint, ...args.positionals];
  const root = rootfs.kind === 'share' && target.share !== undefined ? join(target.share, rootfs.directory) : undefined;
  const accounts = root === undefined ? {} : await readAccounts(root);
  return { rootfs, args: command.length === 0 ? DEFAULT_COMMAND : command, ...userOption(args, accounts) };
}

async function runContainer(container: Container, args: Arguments, relay: SignalRelay, target: Target): Promise<number> {
  const remove = args.flag('rm');
  const discard = () => container.remove().catch((error: unknown) => reportError(error, 0));
  if (relay.pending !== undefined) {
    await discard();
    return exitOfSignal(numberOf(relay.pending));
  }
  let started = false;
  const start = async () => {
    await container.start();
    started = true;
  };
  try {
    if (args.flag('detach')) {
      await start();
      if (remove) await leaveReaping(target, container.id);
      await writeText(1, `${container.id}\n`);
      return 0;
    }
    const init = await container.init({ drainMs: DRAIN_MS });
    const status = await new Session(init, relay, sessionOptions(args)).run(start);
    if (status === 'detached') return await leave(container, target, remove);
    if (remove) await discard();
    return status;
  } catch (error) {
    // One that never ran is of no use to anybody; with no agent there is nobody to tell.
    if ((remove || !started) && !hasCode(error, 'unavailable')) await discard();
    return await reportError(error, started ? EXIT_BERTH : exitOfStartError(error));
  }
}

async function leave(container: Container, target: Target, remove: boolean): Promise<number> {
  if (remove) await leaveReaping(target, container.id);
  await writeText(2, `\r\nberth: left it running; \`berth attach ${container.id}\` goes back\n`);
  return 0;
}
