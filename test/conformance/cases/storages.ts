// Storages: UpdateEphemeralMounts, RemoveStaleVirtiofsShareMounts, and the drivers by way of CreateContainer (kata-agent.md §5.5).
import type { ConformanceCase, Data, Refusal, Step } from '../case.ts';
import { malformed } from './malformed.ts';

const AT = '/run/kata-containers/storage-%{id}';
const REMAINS: readonly Step[] = [{ guest: `umount $G${AT} 2>/dev/null; rm -rf $G${AT}` }];

const withStorage = (storage: Data, change: Data = {}): Step => ({
  call: 'CreateContainer',
  request: { $like: 'sleeper', storages: [{ $like: 'root-storage' }, storage], OCI: change },
});
const EPHEMERAL = { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mount_point: AT };
const mounted = (prints: Data): Step => ({ guest: `grep ' ${AT} ' /proc/1/mountinfo`, prints });
const info = (prints: string): Step => ({ guest: `stat -c '%a %u %g' $G${AT}`, prints });

const driver = (id: string, storage: Data, steps: readonly Step[], leaves?: readonly string[]): ConformanceCase => ({
  id: `storage/${id}`,
  rpc: 'CreateContainer',
  kind: 'edge',
  steps: [withStorage(storage), ...steps],
  finally: REMAINS,
  ...(leaves ? { leaves } : {}),
});
const refused = (id: string, storage: Data, fails: Refusal): ConformanceCase => ({
  id: `storage/${id}`,
  rpc: 'CreateContainer',
  kind: 'bad-input',
  steps: [{ ...(withStorage(storage) as { call: string; request: Data }), fails }],
  finally: REMAINS,
});
const BY_PCI: Step = {
  guest:
    "readlink /sys/block/vdb | grep -oE '[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.0' | cut -d: -f3 | cut -d. -f1 | paste -sd/ -",
  as: 'pci',
};

export const storages: readonly ConformanceCase[] = [
  driver(
    'ephemeral-is-a-tmpfs',
    { ...EPHEMERAL, options: ['size=1048576', 'nosuid', 'nodev'] },
    [mounted({ $match: 'nosuid,nodev.* tmpfs .*size=1024k' })],
    [`mount ${AT}`],
  ),
  driver('ephemeral-of-a-group', { ...EPHEMERAL, options: ['fsgid=4242'] }, [info('2775 0 4242')]),
  driver('local-is-a-directory', { driver: 'local', source: 'local', fstype: 'local', options: ['mode=0707'], mount_point: AT }, [
    info('707 0 0'),
    { guest: `grep -c ' ${AT} ' /proc/1/mountinfo || true`, prints: '0' },
  ]),
  driver('local-of-a-group', { driver: 'local', options: ['mode=0770', 'fsgid=77'], mount_point: AT }, [info('2770 0 77')]),
  driver('blk-by-name', { driver: 'blk', source: '%{root.source}', fstype: '%{root.fstype}', options: ['ro'], mount_point: AT }, [
    mounted({ $match: ' ro' }),
  ]),
  {
    id: 'storage/blk-by-pci-path',
    rpc: 'CreateContainer',
    kind: 'edge',
    given: [BY_PCI],
    steps: [
      withStorage({ driver: 'blk', source: '%{pci}', fstype: '%{root.fstype}', options: ['ro'], mount_point: AT }),
      mounted({ $match: '/dev/vdb' }),
    ],
    finally: REMAINS,
  },
  driver(
    'mmioblk-by-name',
    { driver: 'mmioblk', source: '%{root.source}', fstype: '%{root.fstype}', options: ['ro'], mount_point: AT },
    [mounted({ $match: '/dev/vdb' })],
  ),
  {
    id: 'storage/overlay-that-can-be-written',
    rpc: 'CreateContainer',
    kind: 'edge',
    steps: [
      {
        call: 'CreateContainer',
        request: {
          $like: 'sleeper',
          storages: [
            { $like: 'root-storage', mount_point: '/run/kata-containers/%{id}/lower' },
            {
              driver: 'overlayfs',
              source: 'none',
              fstype: 'overlay',
              options: ['lowerdir=/run/kata-containers/%{id}/lower'],
              driver_options: ['io.katacontainers.fs-opt.overlay-rw'],
              mount_point: '/run/kata-containers/%{id}/rootfs',
            },
          ],
        },
      },
      { call: 'StartContainer', request: { container_id: '%{id}' } },
      { use: 'inside', with: { script: 'echo new > /new && cat /new', prints: 'new\n' } },
    ],
    leaves: ['mount /run/kata-containers/%{id}/lower', 'mount /run/kata-containers/%{id}/rootfs'],
  },
  {
    id: 'storage/one-mount-point-for-two-containers',
    rpc: 'CreateContainer',
    kind: 'edge',
    steps: [
      withStorage(EPHEMERAL),
      {
        call: 'CreateContainer',
        request: {
          $like: 'sleeper',
          container_id: '%{id}b',
          storages: [{ $like: 'root-storage', mount_point: '/run/kata-containers/%{id}b/rootfs' }, EPHEMERAL],
          OCI: { Root: { Path: '/run/kata-containers/%{id}b/rootfs' }, Linux: { CgroupsPath: '/%{id}b' } },
        },
      },
      { guest: `grep -c ' ${AT} ' /proc/1/mountinfo`, prints: '1' },
      { call: 'RemoveContainer', request: { container_id: '%{id}' } },
      { guest: `grep -c ' ${AT} ' /proc/1/mountinfo`, prints: '1' },
      { call: 'RemoveContainer', request: { container_id: '%{id}b' } },
      { guest: `grep -c ' ${AT} ' /proc/1/mountinfo || true`, prints: '0' },
    ],
    finally: REMAINS,
  },
  refused('9p-is-gone', { driver: '9p', mount_point: AT }, { code: 'INTERNAL', text: 'Failed to find the storage handler 9p' }),
  refused('no-driver', { mount_point: AT }, { code: 'INTERNAL', text: 'Failed to find the storage handler' }),
  refused(
    'a-disk-that-does-not-come',
    { driver: 'blk', source: '1f/1f', fstype: 'ext4', mount_point: AT },
    { code: ['INTERNAL', 'DEADLINE_EXCEEDED'], text: 'timeout|1f/1f' },
  ),
  refused(
    'a-disk-that-holds-something-else',
    { driver: 'blk', source: '%{root.source}', fstype: 'ext4', options: ['ro'], mount_point: AT },
    { code: ['INTERNAL', 'INVALID_ARGUMENT'] },
  ),
  refused(
    'a-mount-point-that-walks-up',
    { ...EPHEMERAL, mount_point: '/run/kata-containers/../../etc' },
    { code: ['INTERNAL', 'INVALID_ARGUMENT'], text: 'mount_point|path' },
  ),
  refused('a-mount-point-that-is-not-absolute', { ...EPHEMERAL, mount_point: 'x' }, { code: ['INTERNAL', 'INVALID_ARGUMENT'] }),
  refused(
    'a-group-that-is-none',
    { ...EPHEMERAL, options: ['fsgid=x'] },
    { code: ['INTERNAL', 'INVALID_ARGUMENT'], text: 'fsgid' },
  ),
  refused(
    'a-mode-that-is-none',
    { driver: 'local', options: ['mode=99'], mount_point: AT },
    { code: ['INTERNAL', 'INVALID_ARGUMENT'], text: 'mode' },
  ),

  {
    id: 'ephemeral-mounts/a-new-size-while-in-use',
    rpc: 'UpdateEphemeralMounts',
    kind: 'normal',
    given: [withStorage({ ...EPHEMERAL, options: ['size=1m', 'nosuid'] })],
    steps: [
      { call: 'UpdateEphemeralMounts', request: { storages: [{ ...EPHEMERAL, options: ['remount', 'size=2m', 'fsgid=5'] }] } },
      mounted({ $match: 'nosuid.* tmpfs .*size=2048k' }),
    ],
    finally: REMAINS,
  },
  {
    id: 'ephemeral-mounts/none',
    rpc: 'UpdateEphemeralMounts',
    kind: 'edge',
    steps: [{ call: 'UpdateEphemeralMounts' }],
  },
  {
    id: 'ephemeral-mounts/of-another-driver',
    rpc: 'UpdateEphemeralMounts',
    kind: 'bad-input',
    given: [withStorage({ ...EPHEMERAL, options: ['size=1m'] })],
    steps: [
      {
        call: 'UpdateEphemeralMounts',
        request: {
          storages: [
            { ...EPHEMERAL, options: ['size=2m'] },
            { driver: 'local', mount_point: AT },
          ],
        },
        fails: { code: 'INTERNAL', text: 'Failed to update mounts:.*Unsupported storage type for syncing mounts' },
      },
      mounted({ $match: 'size=1024k' }),
    ],
    finally: REMAINS,
  },
  {
    id: 'ephemeral-mounts/where-nothing-is-mounted',
    rpc: 'UpdateEphemeralMounts',
    kind: 'bad-input',
    steps: [
      {
        call: 'UpdateEphemeralMounts',
        request: { storages: [{ ...EPHEMERAL, mount_point: '/run/kata-containers/nothing', options: ['size=2m'] }] },
        fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'] },
      },
    ],
  },
  {
    id: 'ephemeral-mounts/malformed',
    rpc: 'UpdateEphemeralMounts',
    kind: 'bad-input',
    steps: [malformed('UpdateEphemeralMounts')],
  },

  {
    id: 'stale-shares/looks-at-each-mount-of-the-share',
    rpc: 'RemoveStaleVirtiofsShareMounts',
    kind: 'normal',
    given: [withStorage({ ...EPHEMERAL, mount_point: '/run/kata-containers/shared/containers/s-%{id}' })],
    steps: [{ call: 'RemoveStaleVirtiofsShareMounts' }],
    finally: [{ guest: 'rm -rf $G/run/kata-containers/shared' }],
  },
  {
    id: 'stale-shares/without-any',
    rpc: 'RemoveStaleVirtiofsShareMounts',
    kind: 'edge',
    steps: [{ call: 'RemoveStaleVirtiofsShareMounts' }, { call: 'RemoveStaleVirtiofsShareMounts' }],
  },
  {
    id: 'stale-shares/malformed',
    rpc: 'RemoveStaleVirtiofsShareMounts',
    kind: 'bad-input',
    steps: [malformed('RemoveStaleVirtiofsShareMounts')],
  },
];
