// The sandbox as a whole: CreateSandbox, DestroySandbox, GetGuestDetails, GetOOMEvent (kata-agent.md §3.2, §3.9, §3.14).
import type { ConformanceCase, Step } from '../case.ts';
import { malformed, UNKNOWN_FIELD_PAYLOAD } from './malformed.ts';

const AGAIN: readonly Step[] = [{ call: 'CreateSandbox', request: { sandbox_id: 'test', hostname: 'berth-test' } }];
const SHM = {
  driver: 'ephemeral',
  source: 'shm',
  fstype: 'tmpfs',
  options: ['noexec', 'nosuid', 'nodev', 'mode=1777', 'size=1048576'],
  mount_point: '/run/kata-containers/sandbox/shm',
};
const EATER = {
  args: ['sh', '-c', 'read go; dd if=/dev/zero of=/dev/null bs=64M count=1'],
  linux: { Resources: { Memory: { Limit: 33_554_432 } } },
};
const EAT: Step = { call: 'WriteStdin', request: { container_id: '%{id}', exec_id: '', data: 'go\n' } };

export const sandbox: readonly ConformanceCase[] = [
  {
    id: 'create-sandbox/hostname-dns-storages-modules',
    rpc: 'CreateSandbox',
    kind: 'normal',
    alone: true,
    steps: [
      {
        call: 'CreateSandbox',
        request: {
          sandbox_id: '%{id}',
          hostname: 'pod-%{id}',
          dns: ['nameserver 192.0.2.53 ', 'search pod.example'],
          storages: [SHM],
          kernel_modules: [{ name: 'loop', parameters: ['max_loop=4'] }],
        },
      },
      { guest: 'cat $G/etc/resolv.conf', prints: 'nameserver 192.0.2.53\nsearch pod.example' },
      { guest: "grep ' /run/kata-containers/sandbox/shm ' /proc/1/mountinfo | cut -d- -f2-", prints: { $match: 'tmpfs shm rw' } },
      { guest: "cut -d' ' -f5 /proc/1/mountinfo | grep sandbox-ns | sort", prints: '/run/sandbox-ns/ipc\n/run/sandbox-ns/uts' },
      { use: 'running' },
      { use: 'inside', with: { script: 'hostname', prints: 'pod-%{id}\n' } },
    ],
    finally: AGAIN,
  },
  {
    id: 'create-sandbox/of-nothing',
    rpc: 'CreateSandbox',
    kind: 'edge',
    alone: true,
    steps: [{ call: 'CreateSandbox' }, { use: 'running' }],
    finally: AGAIN,
  },
  {
    id: 'create-sandbox/sandbox-pidns-is-ignored',
    rpc: 'CreateSandbox',
    kind: 'edge',
    alone: true,
    steps: [
      { call: 'CreateSandbox', request: { sandbox_id: '%{id}', sandbox_pidns: true } },
      { use: 'running' },
      { use: 'running', with: { id: '%{id}b' } },
      { use: 'inside', with: { script: 'readlink /proc/1/ns/pid', prints: { $match: '^pid:' } } },
      { use: 'inside', with: { id: '%{id}b', script: 'ps -o comm= | grep -c sleep', prints: { $match: '^1$' } } },
    ],
    finally: AGAIN,
  },
  {
    id: 'create-sandbox/again-begins-with-an-empty-run-directory',
    rpc: 'CreateSandbox',
    kind: 'edge',
    alone: true,
    steps: [
      { call: 'CopyFile', request: { $like: 'small-file' } },
      { call: 'CreateSandbox', request: { sandbox_id: '%{id}', storages: [SHM] } },
      { call: 'CreateSandbox', request: { sandbox_id: '%{id}' } },
      { guest: 'find $G/run/kata-containers -name file', prints: '' },
      { guest: 'grep -c sandbox/shm /proc/1/mountinfo || true', prints: '0' },
    ],
    finally: AGAIN,
  },
  {
    id: 'create-sandbox/a-module-without-a-name',
    rpc: 'CreateSandbox',
    kind: 'bad-input',
    alone: true,
    steps: [
      {
        call: 'CreateSandbox',
        request: { kernel_modules: [{ parameters: ['x=1'] }] },
        fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'], text: 'module' },
      },
    ],
    finally: AGAIN,
  },
  {
    id: 'create-sandbox/a-module-that-does-not-exist',
    rpc: 'CreateSandbox',
    kind: 'bad-input',
    alone: true,
    steps: [
      {
        call: 'CreateSandbox',
        request: { kernel_modules: [{ name: 'no_such_module' }] },
        fails: { code: 'INTERNAL', text: 'no_such_module' },
      },
    ],
    finally: AGAIN,
  },
  {
    id: 'create-sandbox/a-storage-that-fails-takes-the-others-with-it',
    rpc: 'CreateSandbox',
    kind: 'bad-input',
    alone: true,
    steps: [
      {
        call: 'CreateSandbox',
        request: { storages: [SHM, { driver: '9p', mount_point: '/run/kata-containers/sandbox/x' }] },
        fails: { code: 'INTERNAL', text: 'Failed to find the storage handler 9p' },
      },
      { guest: 'grep -c sandbox/shm /proc/1/mountinfo || true', prints: '0' },
    ],
    finally: AGAIN,
  },
  {
    id: 'create-sandbox/a-hostname-longer-than-the-kernel-takes',
    rpc: 'CreateSandbox',
    kind: 'bad-input',
    alone: true,
    steps: [
      {
        call: 'CreateSandbox',
        request: { hostname: { $repeat: 'h', $times: 65 } },
        fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'] },
      },
    ],
    finally: AGAIN,
  },
  { id: 'create-sandbox/malformed', rpc: 'CreateSandbox', kind: 'bad-input', steps: [malformed('CreateSandbox')] },

  {
    id: 'destroy-sandbox/answers-and-then-ends',
    rpc: 'DestroySandbox',
    kind: 'normal',
    ends: true,
    steps: [
      { use: 'running' },
      { call: 'GetOOMEvent', later: 'oom' },
      { call: 'DestroySandbox' },
      { join: 'oom', fails: { code: ['INTERNAL', 'UNAVAILABLE', 'CANCELLED'] } },
      { goneWithinMs: 15_000 },
    ],
  },
  {
    id: 'destroy-sandbox/of-nothing',
    rpc: 'DestroySandbox',
    kind: 'edge',
    ends: true,
    steps: [{ call: 'DestroySandbox', payload: UNKNOWN_FIELD_PAYLOAD }, { goneWithinMs: 15_000 }],
  },
  {
    id: 'destroy-sandbox/malformed-destroys-nothing',
    rpc: 'DestroySandbox',
    kind: 'bad-input',
    given: [{ use: 'running' }],
    steps: [malformed('DestroySandbox'), { use: 'inside', with: { script: 'echo alive', prints: 'alive\n' } }],
  },

  {
    id: 'guest-details/of-all',
    rpc: 'GetGuestDetails',
    kind: 'normal',
    steps: [
      { guest: 'printf %d 0x$(cat /sys/devices/system/memory/block_size_bytes 2>/dev/null || echo 0)', as: 'block' },
      {
        call: 'GetGuestDetails',
        request: { mem_block_size: true, mem_hotplug_probe: true },
        reply: {
          mem_block_size_bytes: { $match: '^%{block}$' },
          agent_details: {
            version: { $match: '^\\d+\\.\\d+\\.\\d+' },
            init_daemon: true,
            device_handlers: [],
            supports_seccomp: true,
          },
        },
      },
    ],
  },
  {
    id: 'guest-details/storage-drivers',
    rpc: 'GetGuestDetails',
    kind: 'edge',
    steps: [
      {
        call: 'GetGuestDetails',
        reply: {
          agent_details: {
            storage_handlers: {
              $has: ['blk', 'ephemeral', 'local', 'mmioblk', 'nvdimm', 'overlayfs', 'scsi', 'virtio-fs', 'watchable-bind'],
            },
          },
        },
      },
    ],
  },
  {
    id: 'guest-details/only-what-is-asked-for',
    rpc: 'GetGuestDetails',
    kind: 'edge',
    steps: [
      {
        call: 'GetGuestDetails',
        reply: { mem_block_size_bytes: 0, support_mem_hotplug_probe: false, agent_details: { $any: true } },
      },
    ],
  },
  { id: 'guest-details/malformed', rpc: 'GetGuestDetails', kind: 'bad-input', steps: [malformed('GetGuestDetails')] },

  {
    id: 'oom-event/names-the-container',
    rpc: 'GetOOMEvent',
    kind: 'normal',
    given: [{ use: 'running', with: EATER }],
    steps: [
      { call: 'GetOOMEvent', later: 'oom' },
      { pending: 'oom' },
      EAT,
      { join: 'oom', reply: { container_id: '%{id}' } },
      { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: '' }, reply: { status: 137 } },
    ],
  },
  {
    id: 'oom-event/is-not-lost-to-a-client-that-has-gone',
    rpc: 'GetOOMEvent',
    kind: 'edge',
    given: [{ use: 'running', with: EATER }],
    steps: [
      { call: 'GetOOMEvent', later: 'ghost', over: 'other' },
      { pending: 'ghost' },
      { hangUp: 'other' },
      { call: 'GetOOMEvent', later: 'oom' },
      { pending: 'oom' },
      EAT,
      { join: 'oom', reply: { container_id: '%{id}' } },
    ],
  },
  {
    id: 'oom-event/none-for-a-process-that-is-only-killed',
    rpc: 'GetOOMEvent',
    kind: 'edge',
    given: [{ use: 'running' }],
    steps: [
      { call: 'GetOOMEvent', later: 'oom' },
      { call: 'SignalProcess', request: { container_id: '%{id}', exec_id: '', signal: 9 } },
      { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: '' }, reply: { status: 137 } },
      { pending: 'oom', forMs: 300 },
    ],
  },
  { id: 'oom-event/malformed', rpc: 'GetOOMEvent', kind: 'bad-input', steps: [malformed('GetOOMEvent')] },
];
