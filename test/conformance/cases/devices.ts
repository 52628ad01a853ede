// Devices of CreateContainer (kata-agent.md §5.7): the guest's node takes the place of the host's numbers.
import type { ConformanceCase, Data, Refusal, Step } from '../case.ts';

const HOST_NODE = { Path: '/dev/data', Type: 'b', Major: 259, Minor: 77, FileMode: 0o660 };
const RULE = { Allow: true, Type: 'b', Major: 259, Minor: 77, Access: 'rw' };
const LINUX = { Devices: [HOST_NODE], Resources: { Devices: [{ Allow: false, Type: 'a', Access: 'rwm' }, RULE] } };

const create = (device: Data, linux: Data = LINUX): Step => ({
  call: 'CreateContainer',
  request: { $like: 'sleeper', devices: [device], OCI: { Linux: linux } },
});
const refused = (id: string, device: Data, fails: Refusal, linux: Data = LINUX): ConformanceCase => ({
  id: `device/${id}`,
  rpc: 'CreateContainer',
  kind: 'bad-input',
  steps: [{ ...(create(device, linux) as { call: string; request: Data }), fails }],
});
const NUMBERS: Step = { guest: "tr ':' ' ' < /sys/block/vdb/dev", as: 'numbers' };
const READS: readonly Step[] = [
  { call: 'StartContainer', request: { container_id: '%{id}' } },
  {
    use: 'inside',
    with: {
      script: "head -c 4096 /dev/data | wc -c; printf '%d %d\\n' $(stat -c '0x%t 0x%T' /dev/data)",
      prints: '4096\n%{numbers}\n',
    },
  },
];
const NAMED: Refusal['code'] = ['INTERNAL', 'INVALID_ARGUMENT'];

export const devices: readonly ConformanceCase[] = [
  {
    id: 'device/blk-by-pci-path-gets-the-guest-s-numbers-and-its-rule',
    rpc: 'CreateContainer',
    kind: 'edge',
    given: [
      NUMBERS,
      {
        guest:
          "readlink /sys/block/vdb | grep -oE '[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.0' | cut -d: -f3 | cut -d. -f1 | paste -sd/ -",
        as: 'pci',
      },
    ],
    steps: [create({ type: 'blk', id: '%{pci}', container_path: '/dev/data' }), ...READS],
  },
  {
    id: 'device/mmioblk-by-name',
    rpc: 'CreateContainer',
    kind: 'edge',
    given: [NUMBERS],
    steps: [create({ type: 'mmioblk', vm_path: '/dev/vdb', container_path: '/dev/data' }), ...READS],
  },
  refused(
    'without-a-type',
    { vm_path: '/dev/vdb', container_path: '/dev/data' },
    { code: NAMED, text: 'invalid type for device' },
  ),
  refused('without-id-and-path', { type: 'blk', container_path: '/dev/data' }, { code: NAMED, text: 'invalid ID and VM path' }),
  refused('without-a-container-path', { type: 'blk', vm_path: '/dev/vdb' }, { code: NAMED, text: 'invalid container path' }),
  refused(
    'of-an-unknown-type',
    { type: 'planet', vm_path: '/dev/vdb', container_path: '/dev/data' },
    { code: 'INTERNAL', text: 'Failed to find the device handler planet' },
  ),
  refused(
    'that-the-spec-does-not-list',
    { type: 'mmioblk', vm_path: '/dev/vdb', container_path: '/dev/data' },
    { code: NAMED },
    { Devices: [] },
  ),
  refused(
    'that-does-not-come',
    { type: 'blk', id: '1f/1f', container_path: '/dev/data' },
    { code: ['INTERNAL', 'DEADLINE_EXCEEDED'], text: 'timeout|1f/1f' },
  ),
];
