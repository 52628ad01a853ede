// The figures of the guest and of the agent, by the names that Kata's monitor knows (docs/design/kata-2-0-metrics.md there).
import { constants } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { fromErrno, isErrno } from '../../errors.ts';
import { type MountEntry, parseMountInfo } from '../mount-table.ts';
import { type Family, renderFamilies, type Sample } from './exposition.ts';
import {
  byItem,
  cpuSamples,
  diskSamples,
  ioSamples,
  loadSamples,
  memorySamples,
  netdevSamples,
  processFigures,
  statusSamples,
  vmSamples,
} from './proc-samples.ts';

/** Of one file; what is more is left out. */
const MAX_FILE_BYTES = 256 * 1024;
const MAX_FILE_SYSTEMS = 128;
/** man 3 sysconf: _SC_CLK_TCK and _SC_PAGESIZE of every machine that Berth runs on. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096n;
/** Their figures come from memory or from a disk; those of a file system that somebody else serves may never come. */
const LOCAL_FILE_SYSTEMS = new Set(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'erofs', 'tmpfs', 'overlay', 'squashfs']);
const SERVED_FILE_SYSTEMS = /^(virtiofs|9p|fuse|nfs|cifs|smb|ceph)/;

export class GuestMetrics {
  readonly #procDir: string;
  #scrapes = 0;
  /** One reading at a time, however many ask. */
  #reading: Promise<string> | undefined;

  constructor(procDir = '/proc') {
    this.#procDir = procDir;
  }

  /** Prometheus's text format. A file that the kernel does not have is left out. @throws internal */
  async read(): Promise<string> {
    this.#scrapes++;
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined;
    });
    try {
      return await this.#reading;
    } catch (error) {
      throw fromErrno(error, 'read the figures of the guest');
    }
  }

  async #readAll(): Promise<string> {
    return renderFamilies([...(await this.#agentFamilies()), ...(await this.#guestFamilies()), ...(await this.#fileSystems())]);
  }

  async #agentFamilies(): Promise<Family[]> {
    const figures = processFigures(await this.#text('self/stat'));
    const one = (value: number | bigint | undefined): Sample[] => (value === undefined ? [] : [{ labels: {}, value }]);
    const seconds = figures && figures.totalTicks / TICKS_PER_SECOND;
    const resident = figures && figures.residentPages * PAGE_BYTES;
    return [
      { name: 'kata_agent_scrape_count', help: 'Metrics scrape count', type: 'counter', samples: one(this.#scrapes) },
      gauge('kata_agent_threads', 'Agent process threads', one(figures?.threads)),
      gauge('kata_agent_total_time', 'Agent process total time, seconds', one(seconds)),
      gauge('kata_agent_total_vm', 'Agent process total virtual memory, bytes', one(figures?.virtualBytes)),
      gauge('kata_agent_total_rss', 'Agent process total resident memory, bytes', one(resident)),
      gauge('kata_agent_proc_stat', 'Agent process stat, ticks', figures?.times ?? []),
      gauge('kata_agent_proc_status', 'Agent process status', statusSamples(await this.#text('self/status'))),
      gauge('kata_agent_io_stat', 'Agent process IO stat', ioSamples(await this.#text('self/io'))),
    ];
  }

  async #guestFamilies(): Promise<Family[]> {
    const { load, tasks } = loadSamples(await this.#text('loadavg'));
    return [
      gauge('kata_guest_load', 'Guest system load', load),
      gauge('kata_guest_tasks', 'Guest tasks, runnable and in all', tasks),
      gauge('kata_guest_cpu_time', 'Guest CPU stat, ticks', cpuSamples(await this.#text('stat'))),
      gauge('kata_guest_vm_stat', 'Guest virtual memory stat', vmSamples(await this.#text('vmstat'))),
      gauge('kata_guest_netdev_stat', 'Guest net devices stats', netdevSamples(await this.#text('self/net/dev'))),
      gauge('kata_guest_diskstat', 'Disks stat in system', diskSamples(await this.#text('diskstats'))),
      gauge('kata_guest_meminfo', 'Statistics about memory usage on the system', memorySamples(await this.#text('meminfo'))),
    ];
  }

  async #fileSystems(): Promise<Family[]> {
    const mounts = localMounts(parseMountInfo(await this.#text('self/mountinfo')));
    const bytes: Sample[] = [];
    const inodes: Sample[] = [];
    for (const { target, source } of mounts.slice(0, MAX_FILE_SYSTEMS)) {
      const found = await statfs(target, { bigint: true }).catch(() => undefined);
      if (found === undefined) continue;
      const { bsize, blocks, bfree, bavail, files, ffree } = found;
      const sizes = { total: blocks * bsize, free: bfree * bsize, available: bavail * bsize, used: (blocks - bfree) * bsize };
      const on = ({ labels, value }: Sample): Sample => ({ labels: { mount: target, device: source, ...labels }, value });
      bytes.push(...byItem(Object.entries(sizes)).map(on));
      inodes.push(...byItem(Object.entries({ total: files, free: ffree, used: files - ffree })).map(on));
    }
    return [
      gauge('kata_guest_filesystem_bytes', 'Size and use of mounted file systems, bytes', bytes),
      gauge('kata_guest_filesystem_inodes', 'Inodes of mounted file systems', inodes),
    ];
  }

  /** Its whole lines, as far as the bound goes; empty when it is not there. */
  async #text(path: string): Promise<string> {
    const buffer = Buffer.alloc(MAX_FILE_BYTES);
    let length = 0;
    try {
      const file = await open(join(this.#procDir, path), constants.O_RDONLY);
      try {
        for (let read = -1; read !== 0 && length < buffer.length; length += read) {
          read = (await file.read(buffer, length, buffer.length - length, null)).bytesRead;
        }
      } finally {
        await file.close();
      }
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'EACCES')) return '';
      throw error;
    }
    return buffer.toString('utf8', 0, length === buffer.length ? buffer.lastIndexOf('\n') : length);
  }
}

/** Without those below a file system that somebody else serves: the way to them may hang. */
function localMounts(mounts: readonly MountEntry[]): MountEntry[] {
  const served = mounts.filter(({ fstype }) => SERVED_FILE_SYSTEMS.test(fstype)).map(({ target }) => `${target}/`);
  return mounts.filter(
    ({ fstype, target }) => LOCAL_FILE_SYSTEMS.has(fstype) && !served.some((directory) => target.startsWith(directory)),
  );
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'gauge', samples };
}
