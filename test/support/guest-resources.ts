// What the guest holds on to, counted from inside: a container whose root is the guest's own root looks around.
import assert from 'node:assert/strict';
import type { AgentClient } from '../../client/agent-client.ts';
import type { TestGuest } from './guest.ts';

export interface GuestResources {
  /** Open fds of the agent. */
  agentFds: number;
  zombies: number;
  cgroups: number;
  mounts: number;
  /** Files and directories below /run. */
  runEntries: number;
}

/** Counts one figure a line; the probe's own share is the same each time. */
const COUNT = `
agent=$(for p in /proc/[0-9]*; do grep -q main.js $p/cmdline 2>/dev/null && [ "$(cat $p/comm)" = kata-agent ] && echo $p; done | head -1)
echo agentFds $(ls $agent/fd | wc -l)
echo zombies $(cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' | grep -c ^Z)
echo cgroups $(find /sys/fs/cgroup -type d | wc -l)
echo mounts $(wc -l < /proc/1/mountinfo)
echo runEntries $(find /run -xdev | wc -l)
`;

export async function guestResources(guest: TestGuest): Promise<GuestResources> {
  await using client = await guest.connect('ttrpc');
  const text = await runInGuest(client, ['sh', '-c', COUNT]);
  const figures = Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]),
  );
  for (const [name, value] of Object.entries(figures)) assert.ok(Number.isInteger(value), `${name} is ${value}: ${text}`);
  return figures as unknown as GuestResources;
}

let probes = 0;

/**
 * Runs a program in the guest itself: its root file system, its /proc, its cgroups and its network, all capabilities.
 * Returns stdout; a failure is an assertion with stderr.
 */
export async function runInGuest(client: AgentClient, args: string[], env: string[] = []): Promise<string> {
  const containerId = `probe-${process.pid}-${probes++}`;
  await client.kata.createContainer({
    containerId,
    OCI: {
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
    },
  });
  const address = { containerId, execId: containerId };
  const read = async (call: AgentClient['kata']['readStdout']) => {
    const parts: Uint8Array[] = [];
    for (
      let { data } = await call({ ...address, len: 65536 });
      data.length > 0;
      { data } = await call({ ...address, len: 65536 })
    )
      parts.push(data);
    return Buffer.concat(parts).toString();
  };
  try {
    await client.kata.startContainer({ containerId });
    const [stdout, stderr] = await Promise.all([read(client.kata.readStdout), read(client.kata.readStderr)]);
    const { status } = await client.kata.waitProcess(address);
    assert.equal(status, 0, `${args.join(' ')}: status ${status}: ${stderr}${stdout}`);
    return stdout;
  } finally {
    await client.kata.removeContainer({ containerId });
  }
}

const ALL = [
  'CAP_SYS_ADMIN',
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
];
