// What Kata's Go runtime sends for a pod without a shared file system (kata-agent.md §4.3, §4.4): roots on disks, files copied,
// namespaces left out that the agent has to add, exec without capabilities.
import type { grpc } from '#proto/kata.js';
import { defaultSpec } from '../../client/default-spec.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';

export const SANDBOX_SHM = '/run/kata-containers/sandbox/shm';
export const SHARE = '/run/kata-containers/shared/containers';

/** Of the sandbox: it lives until the sandbox ends. */
export const SHM_STORAGE: grpc.Storage.$Properties = {
  driver: 'ephemeral',
  source: 'shm',
  fstype: 'tmpfs',
  options: ['noexec', 'nosuid', 'nodev', 'mode=1777', 'size=67108864'],
  mountPoint: SANDBOX_SHM,
};

export interface PodContainer {
  id: string;
  args: readonly string[];
  /** `/dev/vdX` or a PCI path. */
  disk: string;
  sandboxPidns: boolean;
  /** Of the pause container, `sandbox`. */
  type?: 'sandbox' | 'container';
  mounts?: readonly grpc.IMount[];
  linux?: grpc.Linux.$Properties;
}

/** The shim's id of the init process is its container's. */
export function createRequest({ id, args, disk, sandboxPidns, ...more }: PodContainer): grpc.CreateContainerRequest.$Properties {
  const bundle = `/run/kata-containers/${id}`;
  const base = defaultSpec({ args, rootPath: `${bundle}/rootfs` });
  const shm = { destination: '/dev/shm', type: 'bind', source: SANDBOX_SHM, options: ['rbind'] };
  return {
    containerId: id,
    execId: id,
    sandboxPidns,
    storages: [
      { driver: 'blk', source: disk, fstype: 'erofs', options: ['ro'], mountPoint: `${bundle}/lower` },
      {
        driver: 'overlayfs',
        source: 'none',
        fstype: 'overlay',
        options: [`lowerdir=${bundle}/lower`],
        driverOptions: ['io.katacontainers.fs-opt.overlay-rw'],
        mountPoint: `${bundle}/rootfs`,
      },
    ],
    OCI: {
      ...base,
      Mounts: [...(base.Mounts ?? []).filter(({ destination }) => destination !== '/dev/shm'), shm, ...(more.mounts ?? [])],
      Annotations: { 'io.kubernetes.cri.container-type': more.type ?? 'container' },
      Linux: {
        ...base.Linux,
        // pid, network and cgroup are taken out by the runtime, paths emptied.
        Namespaces: ['ipc', 'uts', 'mount'].map((Type) => ({ Type, Path: '' })),
        CgroupsPath: `/kubepods/pod-1/${id}`,
        // No device rules come from the runtime; constrainGRPCSpec takes them out.
        Resources: { CPU: { Shares: 256n } },
        ...more.linux,
      },
    },
  };
}

/** CreateContainer, the update of resources that follows each, and StartContainer. */
export async function startContainer(client: AgentClient, container: PodContainer): Promise<GuestProcess> {
  const { id } = container;
  await client.kata.createContainer(createRequest(container));
  await client.kata.onlineCPUMem({ nbCpus: 0, cpuOnly: false });
  await client.kata.updateEphemeralMounts({});
  await client.kata.startContainer({ containerId: id });
  return new GuestProcess(client.kata, { containerId: id, execId: id }, false);
}

/** One file in one piece, as its owner wants it. */
export async function copyFile(client: AgentClient, path: string, text: string, fileMode = 0o100644): Promise<void> {
  const data = Buffer.from(text);
  const fileSize = BigInt((fileMode & 0o170000) === 0o100000 ? data.length : 0);
  await client.kata.copyFile({ path, data, fileSize, fileMode, dirMode: 0o755, uid: 0, gid: 0 });
}

/** SignalProcess, WaitProcess, RemoveContainer and what follows: the shim's stop of one container. Returns its status. */
export async function stopContainer(client: AgentClient, containerId: string): Promise<number> {
  await client.kata.signalProcess({ containerId, execId: '', signal: 9 });
  const { status } = await client.kata.waitProcess({ containerId, execId: containerId });
  await client.kata.removeContainer({ containerId });
  await client.kata.removeStaleVirtiofsShareMounts({});
  return status;
}
