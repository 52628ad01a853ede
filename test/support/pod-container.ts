// A container as a host makes one for a pod: its root an overlay on the busybox disk, writable, with storages and mounts.
import assert from 'node:assert/strict';
import type { grpc } from '#proto/kata.js';
import { defaultSpec } from '../../client/default-spec.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';

export interface PodContainerOptions {
  storages?: grpc.IStorage[];
  /** Guest paths by the paths in the container they are bound to. */
  binds?: Record<string, string>;
  sharedMounts?: grpc.ISharedMount[];
  sandboxPidns?: boolean;
  annotations?: Record<string, string>;
  capAdd?: string[];
  /** Instead of the busybox root. */
  root?: grpc.IStorage[];
}

export interface PodContainer {
  readonly id: string;
  /** Runs a script inside to its end. Returns what it prints, trimmed; a failure is an assertion with stderr. */
  shell(script: string): Promise<string>;
  remove(): Promise<void>;
}

export const bundleOf = (id: string) => `/run/kata-containers/${id}`;

/** Created and started: it sleeps. */
export async function startPodContainer(
  client: AgentClient,
  id: string,
  options: PodContainerOptions = {},
): Promise<PodContainer> {
  const { storages = [], binds = {}, sharedMounts = [], sandboxPidns = false, annotations = {}, capAdd = [] } = options;
  const mounts = Object.entries(binds).map(([destination, source]) => ({
    destination,
    source,
    type: 'bind',
    options: ['rbind'],
  }));
  await client.kata.createContainer({
    containerId: id,
    sandboxPidns,
    sharedMounts,
    storages: [...(options.root ?? busyboxRoot(id)), ...storages],
    OCI: defaultSpec({ args: ['sleep', 'inf'], rootPath: `${bundleOf(id)}/rootfs`, mounts, annotations, capAdd }),
  });
  const container = podContainer(client, id);
  try {
    await client.kata.startContainer({ containerId: id });
  } catch (error) {
    await container.remove();
    throw error;
  }
  return container;
}

let execs = 0;

/** One that is there already. */
export function podContainer(client: AgentClient, id: string): PodContainer {
  const shell = async (script: string) => {
    const execId = `e${execs++}`;
    const process = { Args: ['sh', '-c', script], Cwd: '/', Env: ['PATH=/bin:/usr/bin:/sbin'] };
    await client.kata.execProcess({ containerId: id, execId, process });
    const { stdout, stderr, exitCode } = await new GuestProcess(client.kata, { containerId: id, execId }, false).collect();
    assert.equal(exitCode, 0, `${script}: ${stderr}`);
    return stdout.toString().trim();
  };
  return { id, shell, remove: async () => void (await client.kata.removeContainer({ containerId: id })) };
}

function busyboxRoot(id: string): grpc.IStorage[] {
  return [
    { driver: 'blk', source: '/dev/vdb', fstype: 'erofs', options: ['ro'], mountPoint: `${bundleOf(id)}/lower` },
    {
      driver: 'overlayfs',
      source: 'none',
      fstype: 'overlay',
      options: [`lowerdir=${bundleOf(id)}/lower`],
      driverOptions: ['io.katacontainers.fs-opt.overlay-rw'],
      mountPoint: `${bundleOf(id)}/rootfs`,
    },
  ];
}
