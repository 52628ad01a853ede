// Programs that run in the guest itself: a container whose root is the guest's own, with all capabilities, the guest's
// /proc, cgroups and network.
import type { grpc } from '#proto/kata.js';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';

const OWN_PROC = { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] };

let programs = 0;

export interface GuestProgram {
  readonly process: GuestProcess;
  /** Ends it and removes its container. */
  remove(): Promise<void>;
}

export interface GuestProgramOptions {
  /** `KEY=value` */
  env?: string[];
  /** A /proc of the program's own PID namespace, which tools that act on pids need; by default it sees the guest's. */
  ownProc?: boolean;
}

export async function startInGuest(
  client: AgentClient,
  args: string[],
  { env = [], ownProc = false }: GuestProgramOptions = {},
): Promise<GuestProgram> {
  const containerId = `probe-${process.pid}-${programs++}`;
  await client.kata.createContainer({ containerId, OCI: { ...guestSpec(args, env), Mounts: ownProc ? [OWN_PROC] : [] } });
  const remove = async () => void (await client.kata.removeContainer({ containerId }));
  try {
    await client.kata.startContainer({ containerId });
  } catch (error) {
    await remove();
    throw error;
  }
  return { process: new GuestProcess(client.kata, { containerId, execId: '' }, false), remove };
}

function guestSpec(args: string[], env: string[]): grpc.ISpec {
  return {
    Version: '1.2.0',
    Root: { Path: '/', Readonly: false },
    Process: {
      Args: args,
      Cwd: '/',
      Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...env],
      User: { UID: 0, GID: 0 },
      Capabilities: { Bounding: ALL, Effective: ALL, Permitted: ALL, Inheritable: [], Ambient: [] },
    },
    Linux: { Namespaces: [{ Type: 'mount' }], Resources: { Devices: [{ Allow: true, Type: 'a', Access: 'rwm' }] } },
  };
}

const ALL = [
  'CAP_SYS_ADMIN',
  'CAP_SYS_MODULE',
  'CAP_SYS_PTRACE',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_NET_ADMIN',
  'CAP_SYS_RESOURCE',
  'CAP_KILL',
  'CAP_SETUID',
  'CAP_SETGID',
  'CAP_CHOWN',
  'CAP_FOWNER',
  'CAP_SYS_CHROOT',
  'CAP_MKNOD',
  'CAP_SETPCAP',
  'CAP_SYS_RAWIO',
  'CAP_FSETID',
  'CAP_NET_RAW',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_AUDIT_WRITE',
];
