// Storages that go beyond one mount: groups, huge pages, watched copies, disks on other buses, mounts of other containers
// (kata-agent.md §5.5, §3.3).
import type { ConformanceCase, Data, Refusal, Step } from '../case.ts';

const AT = '/run/kata-containers/storage-%{id}';
const SHARE = '/run/kata-containers/shared/containers';
const NO_SHARE: Step = {
  guest: `rm -rf $G${SHARE}/src-%{id}; rmdir $G${SHARE} $G/run/kata-containers/shared 2>/dev/null || true`,
};
const create = (storage: Data, more: { readonly [name: string]: Data } = {}): Step => ({
  call: 'CreateContainer',
  request: { $like: 'sleeper', storages: [{ $like: 'root-storage' }, storage], ...more },
});
const refused = (id: string, storage: Data, fails: Refusal): ConformanceCase => ({
  id: `storage/${id}`,
  rpc: 'CreateContainer',
  kind: 'bad-input',
  steps: [{ ...(create(storage) as { call: string; request: Data }), fails }],
});
const second = (more: { readonly [name: string]: Data }): { readonly [name: string]: Data } => ({
  $like: 'sleeper',
  container_id: '%{id}b',
  storages: [{ $like: 'root-storage', mount_point: '/run/kata-containers/%{id}b/rootfs' }],
  OCI: { Root: { Path: '/run/kata-containers/%{id}b/rootfs' }, Linux: { CgroupsPath: '/%{id}b' } },
  ...more,
});

export const sharedStorages: readonly ConformanceCase[] = [
  {
    id: 'storage/of-a-group-with-its-files',
    rpc: 'CreateContainer',
    kind: 'edge',
    steps: [
      create({ driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mount_point: AT, fs_group: { group_id: 4000 } }),
      { guest: `stat -c '%g' $G${AT}; [ -g $G${AT} ] && echo setgid`, prints: '4000\nsetgid' },
    ],
  },
  {
    id: 'storage/huge-pages-are-reserved-and-given-back',
    rpc: 'CreateContainer',
    kind: 'edge',
    given: [{ guest: 'cat /proc/sys/vm/nr_hugepages', as: 'pages' }],
    steps: [
      create({
        driver: 'ephemeral',
        source: 'nodev',
        fstype: 'hugetlbfs',
        options: ['pagesize=2097152,size=4194304'],
        mount_point: AT,
      }),
      { guest: `grep ' ${AT} ' /proc/1/mountinfo`, prints: { $match: 'hugetlbfs .*pagesize=2M' } },
      { guest: 'echo $(($(cat /proc/sys/vm/nr_hugepages) - %{pages}))', prints: '2' },
      { call: 'RemoveContainer', request: { container_id: '%{id}' } },
      { guest: 'cat /proc/sys/vm/nr_hugepages', prints: '%{pages}' },
    ],
  },
  {
    id: 'storage/a-watched-copy-follows-its-source',
    rpc: 'CreateContainer',
    kind: 'edge',
    given: [
      {
        call: 'CopyFile',
        request: { path: `${SHARE}/src-%{id}/key`, file_size: 3, file_mode: 0o100644, dir_mode: 0o755, data: 'one' },
      },
    ],
    steps: [
      create({
        driver: 'watchable-bind',
        source: `${SHARE}/src-%{id}`,
        fstype: 'bind',
        options: ['bind'],
        mount_point: `${SHARE}/watchable/w-%{id}`,
      }),
      { guest: `cat $G${SHARE}/watchable/w-%{id}/key`, prints: 'one', withinMs: 5000 },
      {
        call: 'CopyFile',
        request: { path: `${SHARE}/src-%{id}/key`, file_size: 3, file_mode: 0o100644, dir_mode: 0o755, data: 'two' },
      },
      { guest: `cat $G${SHARE}/watchable/w-%{id}/key`, prints: 'two', withinMs: 10_000 },
    ],
    finally: [NO_SHARE, { guest: 'rm -rf $G/run/kata-containers/shared' }],
  },
  {
    id: 'storage/a-mount-of-another-container',
    rpc: 'CreateContainer',
    kind: 'edge',
    steps: [
      create(
        { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mount_point: AT },
        {
          OCI: {
            Mounts: [
              { destination: '/proc', source: 'proc', type: 'proc' },
              { destination: '/dev', source: 'tmpfs', type: 'tmpfs', options: ['nosuid', 'mode=755'] },
              { destination: '/dev/shm', source: AT, type: 'bind', options: ['rbind'] },
            ],
          },
        },
      ),
      { call: 'StartContainer', request: { container_id: '%{id}' } },
      { use: 'inside', with: { script: 'echo shared > /dev/shm/x' } },
      {
        call: 'CreateContainer',
        request: second({
          shared_mounts: [{ name: 'shm', src_ctr: '%{id}', src_path: '/dev/shm', dst_ctr: '%{id}b', dst_path: '/dev/shm' }],
        }),
      },
      { call: 'StartContainer', request: { container_id: '%{id}b' } },
      { use: 'inside', with: { id: '%{id}b', script: 'cat /dev/shm/x', prints: 'shared\n' } },
    ],
  },
  refused(
    'a-scsi-disk-that-does-not-come',
    { driver: 'scsi', source: '7:7', fstype: 'ext4', mount_point: AT },
    {
      code: ['INTERNAL', 'DEADLINE_EXCEEDED'],
      text: '7:7|timeout',
    },
  ),
  refused(
    'a-scsi-address-that-is-none',
    { driver: 'scsi', source: 'x', fstype: 'ext4', mount_point: AT },
    {
      code: ['INTERNAL', 'INVALID_ARGUMENT'],
    },
  ),
  refused(
    'persistent-memory-that-does-not-come',
    { driver: 'nvdimm', source: '/dev/pmem9', fstype: 'ext4', mount_point: AT },
    {
      code: ['INTERNAL', 'DEADLINE_EXCEEDED'],
      text: 'pmem9|timeout',
    },
  ),
  refused(
    'huge-pages-of-no-size',
    { driver: 'ephemeral', source: 'nodev', fstype: 'hugetlbfs', options: ['pagesize=3'], mount_point: AT },
    {
      code: ['INTERNAL', 'INVALID_ARGUMENT'],
    },
  ),
];
