// The device processes that stand beside QEMU: the vsock device of the vhost-user way, and one virtiofsd a share.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AgentError } from '../../agent/errors.ts';
import { type Child, startChild } from './child.ts';
import type { Share } from './options.ts';
import { findTool, toolPackages } from './tools.ts';

const SOCKET_WAIT_MS = 15_000;
const STOP_MS = 2_000;
/**
 * What the guest may send before the device must say that it has room again, which also bounds one packet. Above some 32 KB
 * the guest's kernel (6.12 with the change "vsock/virtio: Allocate nonlinear SKBs") spreads a packet over several
 * descriptors, and vhost-device-vsock 0.3 drops those without a word.
 */
const DEVICE_BUFFER_BYTES = 32_000;

export interface Sidecar {
  readonly child: Child;
  readonly socket: string;
}

/** @param program from the machine's findings; @param hostSocket where the host will dial (`CONNECT port`) */
export function startVsockDevice(program: string, cid: number, socket: string, hostSocket: string): Promise<Sidecar> {
  const vm = `guest-cid=${cid},socket=${socket},uds-path=${hostSocket},tx-buffer-size=${DEVICE_BUFFER_BYTES}`;
  return startSidecar('vhost-device-vsock', [program, '--vm', vm], socket);
}

export async function startVirtiofsd(share: Share, socket: string): Promise<Sidecar> {
  const program = findTool('virtiofsd');
  if (program === undefined) {
    throw new AgentError('failed_precondition', `virtiofsd is not installed; install Debian's package ${toolPackages.virtiofsd}`);
  }
  return startSidecar(`virtiofsd for ${share.tag}`, [program, ...(await virtiofsdOptions(program, share.dir, socket))], socket);
}

/** QEMU's own virtiofsd (in C, up to 7.2) and its successor in Rust take different options. */
async function virtiofsdOptions(program: string, dir: string, socket: string): Promise<string[]> {
  const { stdout, stderr } = await promisify(execFile)(program, ['--version']);
  if (/FUSE/i.test(stdout + stderr)) return [`--socket-path=${socket}`, '-o', `source=${dir}`, '-o', 'sandbox=chroot'];
  const sandbox = process.getuid?.() === 0 ? 'chroot' : 'namespace';
  return ['--socket-path', socket, '--shared-dir', dir, '--sandbox', sandbox];
}

export async function stopSidecars(sidecars: readonly Sidecar[]): Promise<void> {
  await Promise.all(sidecars.map((sidecar) => sidecar.child.stop(STOP_MS)));
}

async function startSidecar(name: string, argv: string[], socket: string): Promise<Sidecar> {
  const child = await startChild(name, argv);
  const deadline = performance.now() + SOCKET_WAIT_MS;
  while (!existsSync(socket)) {
    if (child.running && performance.now() < deadline) {
      await sleep(5);
      continue;
    }
    const why = child.running ? `made no socket within ${SOCKET_WAIT_MS} ms` : 'ended at once';
    await child.stop(STOP_MS);
    throw new AgentError('unavailable', `${name} ${why}: ${child.stderr().trim()}`, { fields: { program: argv[0] } });
  }
  return { child, socket };
}
