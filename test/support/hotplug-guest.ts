// A booted guest that hardware can be plugged into, images to plug, and containers that are given it.
import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { grpc } from '#proto/kata.js';
import { runTool } from '../../agent/process/tool.ts';
import { defaultSpec } from '../../client/default-spec.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { GuestProcess } from '../../client/kata/guest-process.ts';
import { Hotplug } from '../../client/vm/hotplug.ts';
import type { HotplugOptions } from '../../client/vm/options.ts';
import { bootTestGuest, type TestGuest } from './guest.ts';
import { runInGuest } from './guest-resources.ts';

/** How long the agent waits for a device; under emulation the kernel takes its time as well. */
export const HOTPLUG_TIMEOUT_S = 12;
const MIB = 1 << 20;

export interface WantedContainer {
  devices?: grpc.Device.$Properties[];
  nodes?: grpc.LinuxDevice.$Properties[];
  rules?: grpc.LinuxDeviceCgroup.$Properties[];
  storages?: grpc.Storage.$Properties[];
  mounts?: grpc.Mount.$Properties[];
  env?: string[];
}

/** Runs shell text in the container; a failure is an assertion. */
export type Shell = (script: string) => Promise<string>;

export class HotplugGuest implements AsyncDisposable {
  readonly guest: TestGuest;
  readonly client: AgentClient;
  readonly plug: Hotplug;
  readonly #scratch: string;
  readonly #containers: string[] = [];
  #execs = 0;

  private constructor(guest: TestGuest, client: AgentClient, plug: Hotplug, scratch: string) {
    this.guest = guest;
    this.client = client;
    this.plug = plug;
    this.#scratch = scratch;
  }

  static async boot(hotplug: HotplugOptions = {}, cmdline: readonly string[] = []): Promise<HotplugGuest> {
    const scratch = await mkdtemp(join(tmpdir(), 'berth-hotplug-'));
    const guest = await bootTestGuest({ hotplug, cmdline: [`agent.hotplug_timeout=${HOTPLUG_TIMEOUT_S}`, ...cmdline] });
    return new HotplugGuest(guest, await guest.connect('ttrpc'), await Hotplug.connect(guest.guest), scratch);
  }

  /** A raw image on the host that begins with `content`. */
  async image(name: string, mib: number, content = ''): Promise<string> {
    const path = join(this.#scratch, name);
    await writeFile(path, content);
    await truncate(path, mib * MIB);
    return path;
  }

  /** As `image`, made into something by a program of the host that is given its path last. */
  async made(name: string, mib: number, program: string, ...args: string[]): Promise<string> {
    const path = await this.image(name, mib);
    await runTool(program, [...args, path], { timeoutMs: 60_000 });
    return path;
  }

  /** Runs shell text in the guest itself. */
  async inGuest(script: string): Promise<string> {
    return (await runInGuest(this.client, ['sh', '-c', script])).trim();
  }

  /** Creates and starts a container of busybox that sleeps. */
  async container(containerId: string, wanted: WantedContainer = {}): Promise<Shell> {
    await this.create(containerId, wanted);
    await this.client.kata.startContainer({ containerId });
    return async (script) => {
      const { stdout, stderr, exitCode } = await this.#exec(containerId, script);
      assert.equal(exitCode, 0, `${script}: ${stderr}`);
      return stdout.toString().trim();
    };
  }

  async create(
    containerId: string,
    { devices, nodes, rules, storages = [], mounts = [], env = [] }: WantedContainer,
  ): Promise<void> {
    const bundle = `/run/kata-containers/${containerId}`;
    const base = defaultSpec({ args: ['sleep', 'inf'], rootPath: `${bundle}/rootfs`, capAdd: ['MKNOD'], env });
    const root = [
      {
        driver: 'blk',
        source: this.guest.busybox.kind === 'disk' ? this.guest.busybox.device : '',
        fstype: 'erofs',
        options: ['ro'],
        mountPoint: `${bundle}/lower`,
      },
      {
        driver: 'overlayfs',
        source: 'none',
        fstype: 'overlay',
        options: [`lowerdir=${bundle}/lower`],
        mountPoint: `${bundle}/rootfs`,
        driverOptions: ['io.katacontainers.fs-opt.overlay-rw'],
      },
    ];
    await this.client.kata.createContainer({
      containerId,
      devices,
      storages: [...root, ...storages],
      OCI: {
        ...base,
        Mounts: [...(base.Mounts ?? []), ...mounts],
        // As a Kata host does: rules are left out unless a test is about them.
        Linux: { ...base.Linux, Devices: nodes, Resources: { ...base.Linux?.Resources, Devices: rules } },
      },
    });
    this.#containers.push(containerId);
  }

  async remove(containerId: string): Promise<void> {
    await this.client.kata.removeContainer({ containerId });
    this.#containers.splice(this.#containers.indexOf(containerId), 1);
  }

  /** What a test has left. */
  async removeAll(): Promise<void> {
    for (const containerId of [...this.#containers]) await this.remove(containerId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.plug[Symbol.asyncDispose]();
    await this.guest[Symbol.asyncDispose]();
    await rm(this.#scratch, { recursive: true });
  }

  async #exec(containerId: string, script: string) {
    const execId = `e${this.#execs++}`;
    const process = { Args: ['sh', '-c', script], Cwd: '/', Env: ['PATH=/bin:/usr/bin'] };
    await this.client.kata.execProcess({ containerId, execId, process });
    return await new GuestProcess(this.client.kata, { containerId, execId }, false).collect();
  }
}
