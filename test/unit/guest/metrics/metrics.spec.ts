import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { renderFamilies } from '../../../../agent/guest/metrics/exposition.ts';
import { GuestMetrics } from '../../../../agent/guest/metrics/metrics.ts';
import * as parse from '../../../../agent/guest/metrics/proc-samples.ts';

/** One line of the format: a comment, or a name, labels and a number. */
const LINE =
  /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="([^"\\\n]|\\[\\"n])*"(,\w+="([^"\\\n]|\\[\\"n])*")*\})? -?\d+(\.\d+)?(e[+-]\d+)?)$/;
const items = (samples: readonly { labels: Readonly<Record<string, string>>; value: number | bigint }[]) =>
  Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(' '), Number(value)]));

describe('figures of files in /proc', () => {
  it('have the names that Kata gives those of memory', () => {
    const names: Record<string, string> = {
      MemTotal: 'mem_total',
      Buffers: 'buffers',
      'Active(anon)': 'active_anon',
      AnonHugePages: 'anon_hugepages',
      HugePages_Rsvd: 'hugepages_rsvd',
      Hugepagesize: 'hugepagesize',
      Hugetlb: 'hugetlb',
      DirectMap4k: 'direct_map_4k',
      DirectMap2M: 'direct_map_2M',
      DirectMap1G: 'direct_map_1G',
      KReclaimable: 'k_reclaimable',
      SUnreclaim: 's_unreclaim',
      NFS_Unstable: 'nfs_unstable',
      Committed_AS: 'committed_as',
      VmallocUsed: 'vmalloc_used',
      Percpu: 'per_cpu',
      ShmemPmdMapped: 'shmem_pmd_mapped',
      WritebackTmp: 'writeback_tmp',
      CmaTotal: 'cma_total',
    };
    const text = Object.keys(names)
      .map((key, at) => `${key}:   ${at} kB\n`)
      .join('');
    assert.deepEqual(items(parse.memorySamples(text)), Object.fromEntries(Object.values(names).map((name, at) => [name, at])));
  });

  it('are those of each CPU and of all', () => {
    const samples = items(parse.cpuSamples('cpu  9 8 7 6 5 4 3 2 1 0\ncpu1 1 2 3 4 5 6 7 8 9 10\nintr 5 5\n'));
    assert.equal(Object.keys(samples).length, 20);
    assert.deepEqual([samples['total user'], samples['1 guest_nice']], [9, 10]);
  });

  it('are those of load, devices and disks that did something', () => {
    const { load, tasks } = parse.loadSamples('6.32 0.06 16.52 7/191 25501\n');
    assert.deepEqual(
      [items(load), items(tasks)],
      [
        { load1: 6.32, load5: 0.06, load15: 16.52 },
        { cur: 7, max: 191 },
      ],
    );
    const net = items(parse.netdevSamples('face |bytes\n  lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n'));
    assert.deepEqual([net['lo recv_bytes'], net['lo sent_bytes'], net['lo sent_compressed']], [1, 9, 16]);
    const disks = items(parse.diskSamples(' 7 0 loop0 0 0 0\n 254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n'));
    assert.deepEqual([disks['vda reads'], disks['vda time_flushing'], disks['loop0 reads']], [1, 17, undefined]);
  });

  it('are those of a process with any name', () => {
    const stat = `5 (a) b) S ${Array.from({ length: 49 }, (_, at) => at + 4).join(' ')}`;
    const { times, threads, virtualBytes, residentPages } = parse.processFigures(stat)!;
    assert.deepEqual(items(times), { utime: 14, stime: 15, cutime: 16, cstime: 17 });
    assert.deepEqual([threads, virtualBytes, residentPages], [20, 23n, 24n]);
    const status = items(parse.statusSamples('Name:\tx\nVmRSS:\t  12 kB\nThreads:\t3\nvoluntary_ctxt_switches:\t4\n'));
    assert.deepEqual(status, { vmrss: 12, voluntary_ctxt_switches: 4 });
  });

  it('are nothing, and no error, for text of any other form', () => {
    const { loadSamples, processFigures, byItem: _, ...readers } = parse;
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab 09:\n()-./') }), (text) => {
        for (const read of Object.values(readers)) assert.ok(Array.isArray(read(text)));
        loadSamples(text);
        processFigures(text);
      }),
    );
  });
});

describe("the guest's metrics", () => {
  it('are in the form that Prometheus takes, whatever labels hold', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.bigInt({ min: 0n, max: 2n ** 64n }), (label, value) => {
        const text = renderFamilies([
          { name: 'a_b', help: 'h', type: 'gauge', samples: [{ labels: { x: label, y: '1' }, value }] },
        ]);
        for (const line of text.trimEnd().split('\n')) assert.match(line, LINE);
      }),
    );
  });

  it('show no more than 4096 samples of a family, and no family without any', () => {
    const samples = Array.from({ length: 5000 }, (_, at) => ({ labels: { item: `${at}` }, value: at }));
    const text = renderFamilies([
      { name: 'a', help: 'h', type: 'gauge', samples },
      { name: 'b', help: 'h', type: 'gauge', samples: [] },
    ]);
    assert.equal(text.trimEnd().split('\n').length, 4098);
  });

  it('of this machine are complete, and count who asks', async () => {
    const metrics = new GuestMetrics();
    await metrics.read();
    const text = await metrics.read();
    for (const line of text.trimEnd().split('\n')) assert.match(line, LINE);
    assert.match(text, /^kata_agent_scrape_count 2$/m);
    for (const name of ['threads', 'total_time', 'total_vm', 'total_rss', 'proc_status', 'proc_stat']) {
      assert.match(text, new RegExp(`^kata_agent_${name}[ {]`, 'm'), name);
    }
    for (const name of ['load', 'tasks', 'cpu_time', 'vm_stat', 'netdev_stat', 'meminfo', 'filesystem_bytes']) {
      assert.match(text, new RegExp(`^kata_guest_${name}\\{`, 'm'), name);
    }
  });

  it('leave out file systems that somebody else serves, and what lies below one', async () => {
    const procDir = await mkdtemp(join(tmpdir(), 'berth-proc-'));
    await mkdir(join(procDir, 'self'));
    const mounts = [
      ['/', 'ext4'],
      ['/proc', 'virtiofs'],
      ['/proc/self', 'tmpfs'],
      ['/sys', 'sysfs'],
      ['/no/longer/there', 'tmpfs'],
    ];
    const lines = mounts.map(([target, fstype], at) => `${at + 2} 1 0:${at} / ${target} rw - ${fstype} source rw\n`);
    await writeFile(join(procDir, 'self/mountinfo'), lines.join(''));
    const text = await new GuestMetrics(procDir).read();
    await rm(procDir, { recursive: true });
    const shown = new Set([...text.matchAll(/^kata_guest_filesystem_bytes\{mount="([^"]*)"/gm)].map(([, mount]) => mount));
    assert.deepEqual([...shown], ['/']);
  });

  it('leave out files that are not there, and the end of one that is too long', async () => {
    const procDir = await mkdtemp(join(tmpdir(), 'berth-proc-'));
    await mkdir(join(procDir, 'self'));
    await writeFile(join(procDir, 'vmstat'), 'nr_x 1\n'.repeat(60_000));
    const text = await new GuestMetrics(procDir).read();
    await rm(procDir, { recursive: true });
    assert.equal(text.match(/^kata_guest_vm_stat/gm)?.length, 4096);
    assert.doesNotMatch(text, /meminfo|kata_agent_threads/);
  });
});
