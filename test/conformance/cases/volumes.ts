// Volumes and what a container leaves in one: GetVolumeStats, ResizeVolume, GetDiagnosticData (kata-agent.md §3.15, §3.1).
import type { ConformanceCase, Data, Step } from '../case.ts';
import { malformed } from './malformed.ts';

const VOLUME = '/run/kata-containers/volume-%{id}';
const WORDS = '/run/kata-containers/shared/containers/words-%{id}';
const MIB = 1_048_576;

/** A container with a tmpfs of 4 MiB at /dev/volume. */
const WITH_VOLUME: readonly Step[] = [
  {
    call: 'CreateContainer',
    request: {
      $like: 'sleeper',
      storages: [
        { $like: 'root-storage' },
        { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', options: ['size=4m', 'nosuid'], mount_point: VOLUME },
      ],
      OCI: {
        Mounts: [
          { destination: '/proc', source: 'proc', type: 'proc' },
          { destination: '/dev', source: 'tmpfs', type: 'tmpfs', options: ['nosuid', 'mode=755'] },
          { destination: '/dev/volume', source: VOLUME, type: 'bind', options: ['rbind'] },
        ],
      },
    },
  },
  { call: 'StartContainer', request: { container_id: '%{id}' } },
];

/** A container whose termination log is a file of the share. */
const withLog = (annotation: Data): readonly Step[] => [
  {
    call: 'CopyFile',
    request: { path: WORDS, file_mode: 0o100666, dir_mode: 0o755 },
  },
  {
    call: 'CreateContainer',
    request: {
      $like: 'sleeper',
      OCI: {
        Annotations: annotation,
        Mounts: [
          { destination: '/proc', source: 'proc', type: 'proc' },
          { destination: '/dev', source: 'tmpfs', type: 'tmpfs', options: ['nosuid', 'mode=755'] },
          { destination: '/dev/termination-log', source: WORDS, type: 'bind', options: ['rbind'] },
        ],
      },
    },
  },
  { call: 'StartContainer', request: { container_id: '%{id}' } },
];
const PATH = { 'io.kubernetes.container.terminationMessagePath': '/dev/termination-log' };
const NO_WORDS: readonly Step[] = [
  { guest: `rm -f $G${WORDS}; rmdir $G/run/kata-containers/shared/containers $G/run/kata-containers/shared 2>/dev/null || true` },
];
const LAST_WORDS = { log_type: 'termination_log', container_id: '%{id}' };

export const volumes: readonly ConformanceCase[] = [
  {
    id: 'volume-stats/bytes-and-inodes',
    rpc: 'GetVolumeStats',
    kind: 'normal',
    given: [...WITH_VOLUME, { use: 'inside', with: { script: 'head -c 1048576 /dev/zero > /dev/volume/f' } }],
    steps: [
      {
        call: 'GetVolumeStats',
        request: { volume_guest_path: VOLUME },
        reply: {
          usage: [
            { unit: 1, total: 4 * MIB, used: MIB, available: 3 * MIB },
            { unit: 2, total: { $from: 1 }, used: { $from: 1 } },
          ],
          volume_condition: { abnormal: false, message: 'OK' },
        },
      },
    ],
  },
  {
    id: 'volume-stats/of-any-path-of-the-guest',
    rpc: 'GetVolumeStats',
    kind: 'edge',
    steps: [
      {
        call: 'GetVolumeStats',
        request: { volume_guest_path: '/run' },
        reply: { usage: [{ unit: 1, total: { $from: MIB } }, { unit: 2 }] },
      },
    ],
  },
  {
    id: 'volume-stats/of-what-is-not-there',
    rpc: 'GetVolumeStats',
    kind: 'bad-input',
    steps: [
      {
        call: 'GetVolumeStats',
        request: { volume_guest_path: '/no/volume' },
        fails: { code: 'INTERNAL', text: 'ENOENT|no such file' },
      },
      { call: 'GetVolumeStats', fails: { code: ['INTERNAL', 'INVALID_ARGUMENT'] } },
    ],
  },
  { id: 'volume-stats/malformed', rpc: 'GetVolumeStats', kind: 'bad-input', steps: [malformed('GetVolumeStats')] },

  {
    // Kata's own agent answers UNIMPLEMENTED; the issue asks for a real one.
    id: 'resize-volume/one-that-is-in-use',
    rpc: 'ResizeVolume',
    kind: 'normal',
    given: WITH_VOLUME,
    steps: [
      { call: 'ResizeVolume', request: { volume_guest_path: VOLUME, size: 8 * MIB } },
      { use: 'inside', with: { script: "df -m /dev/volume | tail -1 | awk '{print $2}'", prints: '8\n' } },
      { guest: `grep ' ${VOLUME} ' /proc/1/mountinfo`, prints: { $match: 'nosuid' } },
    ],
  },
  {
    id: 'resize-volume/to-the-size-it-has',
    rpc: 'ResizeVolume',
    kind: 'edge',
    given: WITH_VOLUME,
    steps: [
      { call: 'ResizeVolume', request: { volume_guest_path: VOLUME, size: 4 * MIB } },
      { call: 'GetVolumeStats', request: { volume_guest_path: VOLUME }, reply: { usage: [{ total: 4 * MIB }, {}] } },
    ],
  },
  {
    id: 'resize-volume/where-the-file-system-can-not',
    rpc: 'ResizeVolume',
    kind: 'bad-input',
    steps: [{ call: 'ResizeVolume', request: { volume_guest_path: '/', size: 1 }, fails: { code: 'UNIMPLEMENTED' } }],
  },
  {
    id: 'resize-volume/what-is-not-there',
    rpc: 'ResizeVolume',
    kind: 'bad-input',
    steps: [
      {
        call: 'ResizeVolume',
        request: { volume_guest_path: '/no/volume', size: 1 },
        fails: { code: ['INTERNAL', 'INVALID_ARGUMENT', 'UNIMPLEMENTED'] },
      },
    ],
  },
  { id: 'resize-volume/malformed', rpc: 'ResizeVolume', kind: 'bad-input', steps: [malformed('ResizeVolume')] },

  {
    id: 'diagnostic-data/last-words',
    rpc: 'GetDiagnosticData',
    kind: 'normal',
    given: [...withLog(PATH), { use: 'inside', with: { script: 'echo farewell > /dev/termination-log' } }],
    steps: [{ call: 'GetDiagnosticData', request: LAST_WORDS, reply: { data: 'farewell\n' } }],
    finally: NO_WORDS,
  },
  {
    id: 'diagnostic-data/no-more-than-4096-bytes',
    rpc: 'GetDiagnosticData',
    kind: 'edge',
    given: [
      ...withLog(PATH),
      { use: 'inside', with: { script: 'head -c 100000 /dev/zero | tr "\\0" x > /dev/termination-log' } },
    ],
    steps: [{ call: 'GetDiagnosticData', request: LAST_WORDS, reply: { data: { $repeat: 'x', $times: 4096 } } }],
    finally: NO_WORDS,
  },
  {
    id: 'diagnostic-data/of-one-that-has-said-nothing-and-ended',
    rpc: 'GetDiagnosticData',
    kind: 'edge',
    given: withLog(PATH),
    steps: [
      { call: 'SignalProcess', request: { container_id: '%{id}', exec_id: '', signal: 9 } },
      { call: 'WaitProcess', request: { container_id: '%{id}', exec_id: '' }, reply: { status: 137 } },
      { call: 'GetDiagnosticData', request: LAST_WORDS, reply: { data: '' } },
    ],
    finally: NO_WORDS,
  },
  {
    id: 'diagnostic-data/of-a-container-without-the-annotation',
    rpc: 'GetDiagnosticData',
    kind: 'bad-input',
    given: withLog({}),
    steps: [{ call: 'GetDiagnosticData', request: LAST_WORDS, fails: { code: 'INTERNAL' } }],
    finally: NO_WORDS,
  },
  {
    id: 'diagnostic-data/of-a-path-that-is-no-mount',
    rpc: 'GetDiagnosticData',
    kind: 'bad-input',
    given: withLog({ 'io.kubernetes.container.terminationMessagePath': '/etc/passwd' }),
    steps: [{ call: 'GetDiagnosticData', request: LAST_WORDS, fails: { code: 'INTERNAL' } }],
    finally: NO_WORDS,
  },
  {
    id: 'diagnostic-data/of-another-kind-and-unknown',
    rpc: 'GetDiagnosticData',
    kind: 'bad-input',
    steps: [
      {
        call: 'GetDiagnosticData',
        request: { log_type: 'core' },
        fails: { code: 'INVALID_ARGUMENT', text: 'unsupported diagnostic log_type: core' },
      },
      {
        call: 'GetDiagnosticData',
        request: { log_type: 'termination_log', container_id: 'nobody' },
        fails: { code: 'INTERNAL', text: 'container id' },
      },
    ],
  },
  { id: 'diagnostic-data/malformed', rpc: 'GetDiagnosticData', kind: 'bad-input', steps: [malformed('GetDiagnosticData')] },
];
