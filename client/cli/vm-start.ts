// `berth vm start`: boots a VM that goes on in the background.
import { realpath } from 'node:fs/promises';
import { AgentError, fromErrno } from '../../agent/errors.ts';
import { exitOfSignal } from '../exit-status.ts';
import { parseBytes } from '../quantity.ts';
import { SHARE_TAG } from '../rootfs.ts';
import { writeText } from './fd-output.ts';
import { startNamedVm } from './named-vm.ts';
import { numberOf, SignalRelay } from './signal-relay.ts';
import { DEFAULT_VM } from './target.ts';
import type { Verb } from './verb.ts';

export const vmStart: Verb = {
  name: 'vm start',
  usage: '[OPTIONS]',
  summary: 'Starts a VM that containers can run in.',
  options: {
    name: { kind: 'text', value: 'NAME', help: `name of the VM (default '${DEFAULT_VM}', or $BERTH_VM)` },
    memory: { kind: 'text', short: 'm', value: 'BYTES', help: 'its memory, e.g. 1g (default 512m)' },
    cpus: { kind: 'text', value: 'NUMBER', help: 'its CPUs (default 1)' },
    share: { kind: 'text', value: 'DIR', help: 'a directory of this machine that containers can have their root from' },
    disk: { kind: 'list', value: 'NAME=FILE', help: 'a file with an EROFS file system, for --rootfs NAME' },
    serial: { kind: 'flag', help: 'reach it by a serial port, without vsock: one client at a time' },
    machine: { kind: 'text', value: 'KIND', help: 'microvm (default) or q35' },
  },

  async run(args) {
    if (args.positionals.length > 0)
      throw new AgentError('invalid_argument', `'${args.positionals[0]}' is too much; name the VM with --name`);
    const name = args.text('name') ?? process.env['BERTH_VM'] ?? DEFAULT_VM;
    const memory = args.text('memory');
    const cpus = args.text('cpus');
    const share = args.text('share');
    const options = {
      ...(memory === undefined ? {} : { memory: Number(parseBytes(memory, '--memory') >> 20n) }),
      ...(cpus === undefined ? {} : { cpus: readCpus(cpus) }),
      ...(share === undefined ? {} : { shares: [{ dir: await directory(share), tag: SHARE_TAG }] }),
      ...(args.flag('serial') ? { way: 'serial' as const } : {}),
      ...machineOption(args.text('machine')),
      disks: args.list('disk').map(readDisk),
    };
    using relay = new SignalRelay();
    try {
      const started = performance.now();
      const { way, accel, address } = await startNamedVm(name, options, { signal: relay.aborted, onProgress: tell });
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      await writeText(2, `berth: VM ${name} is up after ${seconds} s (${way}, ${accel}), agent at ${address}\n`);
    } catch (error) {
      if (relay.pending === undefined) throw error;
      return exitOfSignal(numberOf(relay.pending));
    }
    await writeText(1, `${name}\n`);
    return 0;
  },
};

function tell(progress: string): void {
  void writeText(2, `berth: ${progress.split('\n')[0]}\n`).catch(() => {});
}

function readCpus(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new AgentError('invalid_argument', `invalid --cpus '${text}': give a whole number from 1`, { fields: { field: 'cpus' } });
}

function machineOption(text: string | undefined): { machine?: 'microvm' | 'q35' } {
  if (text === undefined) return {};
  if (text === 'microvm' || text === 'q35') return { machine: text };
  throw new AgentError('invalid_argument', `unknown --machine '${text}': give microvm or q35`, { fields: { field: 'machine' } });
}

function readDisk(text: string): { path: string; readonly: boolean; serial: string } {
  const [, serial, path] = /^([\w.-]{1,20})=(.+)$/.exec(text) ?? [];
  if (serial === undefined || path === undefined) {
    throw new AgentError('invalid_argument', `invalid --disk '${text}': give NAME=FILE`, { fields: { field: 'disk' } });
  }
  return { path, readonly: true, serial };
}

async function directory(path: string): Promise<string> {
  return await realpath(path).catch((error: unknown) => {
    throw fromErrno(error, '--share');
  });
}
