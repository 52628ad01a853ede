// The guest's network as its clients see and change it: links, routes and neighbours, by way of `ip`.
// INVARIANT: one change at a time, so that what a plan was made from still holds when it is carried out.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError, isErrno } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { runTool } from '../../process/tool.ts';
import { findInterface, planInterface, type WantedInterface } from './interface.ts';
import { type IpCommand, type RunTool, runCommands } from './ip-command.ts';
import { type Link, linkNamed, linkNotFound, parseLinks } from './link.ts';
import { type Neighbour, replaceNeighbour } from './neighbour.ts';
import { inOrder, parseRoutes, type Route, replaceRoute, showRoutes } from './route.ts';
import { planUndo } from './undo.ts';

/** What lists all links or routes; some 100 characters each. */
const LISTING = { timeoutMs: 10_000, maxOutputChars: 8 * 1024 * 1024 } as const;
/** Changes that may wait for the one under way. */
const MAX_WAITING = 64;
const IPV6_SWITCHES = ['all/disable_ipv6', 'default/disable_ipv6'];

export interface NetworkOptions {
  log: Logger;
  /** Name of the link at a PCI path, once it is there. */
  waitForLink(pciPath: string): Promise<string>;
  run?: RunTool;
  /** Of sysctls `net.ipv6.conf`. */
  ipv6Dir?: string;
}

export class Network {
  readonly #log: Logger;
  readonly #run: RunTool;
  readonly #waitForLink: NetworkOptions['waitForLink'];
  readonly #ipv6Dir: string;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor({ log, waitForLink, run = runTool, ipv6Dir = '/proc/sys/net/ipv6/conf' }: NetworkOptions) {
    this.#log = log;
    this.#waitForLink = waitForLink;
    this.#run = run;
    this.#ipv6Dir = ipv6Dir;
  }

  async links(): Promise<Link[]> {
    const { stdout } = await this.#run('ip', ['-json', 'address', 'show'], LISTING);
    return parseLinks(stdout);
  }

  /** Of the main table, IPv4 before IPv6. */
  async routes(): Promise<Route[]> {
    const listed = ([4, 6] as const).map(async (family) => {
      const { stdout } = await this.#run('ip', showRoutes(family), LISTING);
      return parseRoutes(stdout, family);
    });
    return (await Promise.all(listed)).flat();
  }

  /**
   * All of it, or nothing but the routes that a link loses as it goes down.
   * @param pciPath of a NIC to wait for, or empty
   * @throws not_found without such a link; deadline_exceeded when the NIC does not come; internal with the kernel's reason
   */
  async updateInterface(wanted: WantedInterface, pciPath = ''): Promise<void> {
    const device = pciPath === '' ? undefined : await this.#waitForLink(pciPath);
    await this.#alone(async () => {
      const links = await this.links();
      const link = device === undefined ? findInterface(links, wanted) : linkNamed(links, device);
      if (link === undefined) {
        const byAddress = device === undefined && wanted.hwAddr !== '';
        throw byAddress ? linkNotFound('Address', wanted.hwAddr) : linkNotFound('Name', device ?? (wanted.name || wanted.device));
      }
      const commands = planInterface(links, link, await this.#withoutDisabled(wanted));
      const failure = await runCommands(commands, this.#run);
      if (failure === undefined) return;
      await this.#undo(links);
      throw failure.error;
    });
  }

  /**
   * Adds or replaces; others stay. Those before one that fails are done.
   * @throws not_found for an unknown device, and then nothing was done; internal with the kernel's reason
   */
  async updateRoutes(routes: readonly Route[]): Promise<void> {
    await this.#alone(async () => {
      await this.#checkDevices(routes);
      let commands: IpCommand[] = inOrder(routes).map(replaceRoute);
      for (;;) {
        const failure = await runCommands(commands, this.#run);
        if (failure === undefined) return;
        // It is there, only not first among those with its destination.
        if (failure.complaint !== 'File exists') throw failure.error;
        commands = commands.slice(failure.index + 1);
      }
    });
  }

  /** Adds or replaces; others stay. @throws as {@link updateRoutes} */
  async addNeighbours(neighbours: readonly Neighbour[]): Promise<void> {
    await this.#alone(async () => {
      await this.#checkDevices(neighbours);
      const failure = await runCommands(neighbours.map(replaceNeighbour), this.#run);
      if (failure !== undefined) throw failure.error;
    });
  }

  async #checkDevices(entries: readonly { readonly device: string }[]): Promise<void> {
    const names = new Set((await this.links()).map(({ name }) => name));
    const unknown = entries.find(({ device }) => !names.has(device));
    if (unknown !== undefined) throw linkNotFound('Name', unknown.device);
  }

  /** A guest that has IPv6 switched off gets the other addresses, as Kata's hosts expect. */
  async #withoutDisabled(wanted: WantedInterface): Promise<WantedInterface> {
    if (wanted.addresses.every(({ family }) => family === 4) || !(await this.#ipv6IsOff())) return wanted;
    this.#log.warn('IPv6 is off: addresses left out', { link: wanted.name });
    return { ...wanted, addresses: wanted.addresses.filter(({ family }) => family === 4) };
  }

  async #ipv6IsOff(): Promise<boolean> {
    try {
      const values = await Promise.all(IPV6_SWITCHES.map((name) => readFile(join(this.#ipv6Dir, name), 'utf8')));
      return values.every((value) => value.trim() === '1');
    } catch (error) {
      // A kernel without IPv6 has no such directory.
      if (isErrno(error, 'ENOENT')) return true;
      throw error;
    }
  }

  async #undo(before: readonly Link[]): Promise<void> {
    try {
      const failure = await runCommands(planUndo(before, await this.links()), this.#run);
      if (failure !== undefined) throw failure.error;
    } catch (error) {
      this.#log.error('an interface was left half changed', { error });
    }
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING) {
      throw new AgentError('resource_exhausted', `more than ${MAX_WAITING} network changes wait`, {
        fields: { limit: 'network-changes' },
      });
    }
    this.#waiting++;
    const mine = this.#last.then(work).finally(() => this.#waiting--);
    this.#last = mine.catch(() => {});
    return await mine;
  }
}
