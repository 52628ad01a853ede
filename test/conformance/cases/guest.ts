// The guest itself: CPUs, memory, clock, entropy, swap, figures (kata-agent.md §3.12, §3.15).
import type { ConformanceCase, Step } from '../case.ts';
import { malformed, UNKNOWN_FIELD_PAYLOAD } from './malformed.ts';

const ALL_CPUS: readonly Step[] = [{ guest: 'for c in /sys/devices/system/cpu/cpu*/online; do echo 1 > $c; done' }];
const NOW: readonly Step[] = [{ call: 'SetGuestDateTime', request: { Sec: '%{then}' } }];
const SWAP_FILE: Step = {
  guest: 'modprobe loop; truncate -s 16M $G/run/swap-%{id}; losetup /dev/loop7 $G/run/swap-%{id}; mkswap /dev/loop7 >/dev/null',
};
const NO_SWAP: readonly Step[] = [{ guest: 'swapoff /dev/loop7 2>/dev/null; losetup -d /dev/loop7; rm -f $G/run/swap-%{id}' }];

export const guest: readonly ConformanceCase[] = [
  {
    id: 'online-cpu-mem/up-to-the-total-asked-for',
    rpc: 'OnlineCPUMem',
    kind: 'normal',
    given: [
      { guest: 'cat /sys/devices/system/cpu/online', as: 'online' },
      { guest: 'echo 0 > /sys/devices/system/cpu/cpu1/online' },
    ],
    steps: [
      { call: 'OnlineCPUMem', request: { nb_cpus: 1, cpu_only: true } },
      { guest: 'cat /sys/devices/system/cpu/online', prints: '0' },
      { call: 'OnlineCPUMem', request: { wait: true, nb_cpus: 2, cpu_only: true } },
      { guest: 'cat /sys/devices/system/cpu/online', prints: '0-1' },
    ],
    finally: ALL_CPUS,
  },
  {
    id: 'online-cpu-mem/memory-only-after-each-update',
    rpc: 'OnlineCPUMem',
    kind: 'edge',
    steps: [{ call: 'OnlineCPUMem', request: { nb_cpus: 0, cpu_only: false } }, { call: 'OnlineCPUMem' }],
  },
  {
    id: 'online-cpu-mem/containers-may-use-what-came',
    rpc: 'OnlineCPUMem',
    kind: 'edge',
    given: [
      { guest: 'echo 0 > /sys/devices/system/cpu/cpu1/online' },
      { use: 'running', with: { linux: { Resources: { CPU: { Cpus: '0-1' } } } } },
    ],
    steps: [
      { call: 'OnlineCPUMem', request: { nb_cpus: 2 } },
      { use: 'inside', with: { script: 'cat /sys/fs/cgroup/cpuset.cpus.effective', prints: '0-1\n' } },
    ],
    finally: ALL_CPUS,
  },
  {
    id: 'online-cpu-mem/more-than-there-are',
    rpc: 'OnlineCPUMem',
    kind: 'bad-input',
    steps: [
      { call: 'OnlineCPUMem', request: { nb_cpus: 99, cpu_only: true }, later: 'late' },
      { call: 'Check', reply: { status: 1 }, deadlineMs: 1000 },
      { join: 'late', fails: { code: 'INTERNAL', text: 'failed to online \\d+ CPU' } },
    ],
  },
  { id: 'online-cpu-mem/malformed', rpc: 'OnlineCPUMem', kind: 'bad-input', steps: [malformed('OnlineCPUMem')] },

  {
    id: 'mem-hotplug/of-no-address',
    rpc: 'MemHotplugByProbe',
    kind: 'normal',
    steps: [{ call: 'MemHotplugByProbe', request: { memHotplugProbeAddr: [] } }],
  },
  {
    id: 'mem-hotplug/of-nothing-told-with-a-field-of-a-later-version',
    rpc: 'MemHotplugByProbe',
    kind: 'edge',
    steps: [{ call: 'MemHotplugByProbe', payload: UNKNOWN_FIELD_PAYLOAD }],
  },
  {
    id: 'mem-hotplug/an-address-that-is-no-memory',
    rpc: 'MemHotplugByProbe',
    kind: 'bad-input',
    steps: [{ call: 'MemHotplugByProbe', request: { memHotplugProbeAddr: [1] }, fails: { code: 'INTERNAL', text: '0x1' } }],
  },
  { id: 'mem-hotplug/malformed', rpc: 'MemHotplugByProbe', kind: 'bad-input', steps: [malformed('MemHotplugByProbe')] },

  {
    id: 'set-date-time/to-the-second',
    rpc: 'SetGuestDateTime',
    kind: 'normal',
    given: [{ guest: 'date +%s', as: 'then' }],
    steps: [
      { call: 'SetGuestDateTime', request: { Sec: 2_000_000_000, Usec: 500_000 } },
      { guest: 'date +%s', prints: { $from: 2_000_000_000, $to: 2_000_000_060 } },
    ],
    finally: NOW,
  },
  {
    id: 'set-date-time/beyond-2038',
    rpc: 'SetGuestDateTime',
    kind: 'edge',
    given: [{ guest: 'date +%s', as: 'then' }],
    steps: [
      { call: 'SetGuestDateTime', request: { Sec: 4_000_000_000 } },
      { guest: 'date +%s', prints: { $from: 4_000_000_000, $to: 4_000_000_060 } },
    ],
    finally: NOW,
  },
  {
    id: 'set-date-time/a-million-microseconds',
    rpc: 'SetGuestDateTime',
    kind: 'bad-input',
    steps: [{ call: 'SetGuestDateTime', request: { Usec: 1_000_000 }, fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'] } }],
  },
  {
    id: 'set-date-time/before-1970',
    rpc: 'SetGuestDateTime',
    kind: 'bad-input',
    steps: [{ call: 'SetGuestDateTime', request: { Sec: -1 }, fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'] } }],
  },
  { id: 'set-date-time/malformed', rpc: 'SetGuestDateTime', kind: 'bad-input', steps: [malformed('SetGuestDateTime')] },

  {
    id: 'reseed/of-a-clone',
    rpc: 'ReseedRandomDev',
    kind: 'normal',
    steps: [{ call: 'ReseedRandomDev', request: { data: { $repeat: 'r', $times: 512 } } }],
  },
  {
    id: 'reseed/of-one-byte',
    rpc: 'ReseedRandomDev',
    kind: 'edge',
    steps: [{ call: 'ReseedRandomDev', request: { data: 'r' } }],
  },
  {
    id: 'reseed/without-data',
    rpc: 'ReseedRandomDev',
    kind: 'bad-input',
    steps: [{ call: 'ReseedRandomDev', fails: { code: 'INTERNAL', text: 'missing entropy data' } }],
  },
  {
    // Field 1 is not the data's: the number is 2.
    id: 'reseed/data-in-the-wrong-field',
    rpc: 'ReseedRandomDev',
    kind: 'bad-input',
    steps: [{ call: 'ReseedRandomDev', payload: '0a0172', fails: { code: 'INTERNAL', text: 'missing entropy data' } }],
  },
  { id: 'reseed/malformed', rpc: 'ReseedRandomDev', kind: 'bad-input', steps: [malformed('ReseedRandomDev')] },

  {
    id: 'add-swap-path/is-in-use',
    rpc: 'AddSwapPath',
    kind: 'normal',
    given: [SWAP_FILE],
    steps: [
      { call: 'AddSwapPath', request: { path: '/dev/loop7' } },
      { guest: 'cat /proc/swaps', prints: { $match: '^/dev/loop7\\s' } },
    ],
    finally: NO_SWAP,
  },
  {
    id: 'add-swap-path/a-file',
    rpc: 'AddSwapPath',
    kind: 'edge',
    given: [
      {
        guest:
          'modprobe loop; truncate -s 64M $G/run/disk-%{id}; mkfs.ext4 -q $G/run/disk-%{id}; losetup /dev/loop7 $G/run/disk-%{id}; mkswap -f /dev/loop7 >/dev/null; ln -s /dev/loop7 $G/run/link-%{id}',
      },
    ],
    steps: [
      { call: 'AddSwapPath', request: { path: '/run/link-%{id}' } },
      { guest: 'cat /proc/swaps', prints: { $match: '^/dev/loop7\\s' } },
    ],
    finally: [{ guest: 'swapoff /dev/loop7; losetup -d /dev/loop7; rm -f $G/run/disk-%{id} $G/run/link-%{id}' }],
  },
  {
    id: 'add-swap-path/what-is-no-swap',
    rpc: 'AddSwapPath',
    kind: 'bad-input',
    steps: [{ call: 'AddSwapPath', request: { path: '/dev/null' }, fails: { code: 'INTERNAL', text: '/dev/null' } }],
  },
  {
    id: 'add-swap-path/what-is-not-there',
    rpc: 'AddSwapPath',
    kind: 'bad-input',
    steps: [
      { call: 'AddSwapPath', request: { path: '/no/such' }, fails: { code: 'INTERNAL', text: '/no/such' } },
      { call: 'AddSwapPath', request: { path: '' }, fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'] } },
    ],
  },
  { id: 'add-swap-path/malformed', rpc: 'AddSwapPath', kind: 'bad-input', steps: [malformed('AddSwapPath')] },
  {
    id: 'add-swap/a-disk-that-is-no-swap-is-found-and-refused',
    rpc: 'AddSwap',
    kind: 'edge',
    given: [{ guest: "readlink /sys/block/vdb | grep -o '0000:00:[0-9a-f]*' | tail -1 | cut -d: -f3", as: 'slot' }],
    steps: [{ call: 'AddSwap', request: { PCIPath: ['0x%{slot}'] }, fails: { code: 'INTERNAL', text: '/dev/vdb' } }],
  },
  {
    id: 'add-swap/a-disk-that-does-not-come',
    rpc: 'AddSwap',
    kind: 'bad-input',
    steps: [{ call: 'AddSwap', request: { PCIPath: [30, 30] }, fails: { code: ['INTERNAL', 'DEADLINE_EXCEEDED'], text: '1e' } }],
  },
  {
    id: 'add-swap/no-path-and-none-of-pci',
    rpc: 'AddSwap',
    kind: 'bad-input',
    steps: [
      { call: 'AddSwap', fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'] } },
      { call: 'AddSwap', request: { PCIPath: [4096] }, fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'] } },
    ],
  },
  { id: 'add-swap/malformed', rpc: 'AddSwap', kind: 'bad-input', steps: [malformed('AddSwap')] },

  {
    id: 'metrics/in-prometheus-s-format',
    rpc: 'GetMetrics',
    kind: 'normal',
    steps: [
      {
        call: 'GetMetrics',
        reply: {
          metrics: {
            $match:
              '^kata_agent_scrape_count \\d+$.*^kata_agent_threads \\d+$.*^kata_agent_total_rss \\d+.*^kata_guest_meminfo\\{item="mem_total"\\} \\d+$',
          },
        },
        as: 'first',
      },
    ],
  },
  {
    id: 'metrics/every-name-of-kata-s-design',
    rpc: 'GetMetrics',
    kind: 'edge',
    steps: [
      'kata_agent_total_time \\d',
      'kata_agent_total_vm \\d',
      'kata_agent_proc_status\\{item="',
      'kata_agent_io_stat\\{item="',
      'kata_agent_proc_stat\\{item="',
      'kata_guest_load\\{item="load1"\\} \\d',
      'kata_guest_tasks\\{item="',
      'kata_guest_cpu_time\\{cpu="\\w+",item="user"\\} \\d',
      'kata_guest_vm_stat\\{item="',
      'kata_guest_netdev_stat\\{interface="lo",item="recv_bytes"\\} \\d',
      'kata_guest_diskstat\\{disk="vdb",item="reads"\\} \\d',
      'kata_guest_filesystem_bytes\\{mount="/run",device="\\S+",item="total"\\} \\d',
      'kata_guest_filesystem_inodes\\{mount="/run",device="\\S+",item="total"\\} \\d',
    ].map((line): Step => ({ call: 'GetMetrics', reply: { metrics: { $match: `^${line}` } } })),
  },
  { id: 'metrics/malformed', rpc: 'GetMetrics', kind: 'bad-input', steps: [malformed('GetMetrics')] },
];
