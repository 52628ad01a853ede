// What Kata's agent makes of each parameter of the kernel command line, as data: its default, values it takes, values it does not
// keep, values it refuses (kata-agent.md §1.4).
type Value = null | boolean | number | string;

export interface CmdlineRow {
  param: string;
  /** What this project's configuration calls it. */
  name: string;
  /** The default; null where it is another part's. */
  fallback: Value;
  good: ReadonlyArray<readonly [text: string, value: Value]>;
  /** 64 bits: values are written as decimal text here, since JSON has no such numbers. */
  wide?: true;
  /** Values that are read but not kept. */
  guarded?: readonly string[];
  bad?: readonly string[];
  /** Words that must come before. */
  after?: string;
}

const seconds = { guarded: ['0'], bad: ['', 'x', '-1', '1.5', '18446744073709551616'] };
const port = { guarded: ['0', '-1'], bad: ['', 'x', '1.5', '2147483648', '0x10'] };
const lenient: CmdlineRow['good'] = [
  ['true', true],
  ['1', true],
  ['42', true],
  ['false', false],
  ['0', false],
  ['-1', false],
  ['yes', false],
  ['', false],
  ['1=2', false],
];
/** Node's longest timer, ms. */
const LONGEST_MS = 2_147_483_647;
const uint8 = { bad: ['', '-1', '256', 'x'], after: 'agent.mem_agent_enable=1' };
const uint64 = { wide: true as const, bad: ['', '-1', '18446744073709551616'], after: 'agent.mem_agent_enable=1' };
const strict = { bad: ['1', '0', '', 'True', 'yes'], after: 'agent.mem_agent_enable=true' };
const onOff: CmdlineRow['good'] = [
  ['true', true],
  ['false', false],
];

// Kata's table (kata-agent config.rs): each parameter with its default, what it takes and what it refuses.
export const cmdlineRows: readonly CmdlineRow[] = [
  { param: 'agent.debug_console_vport', name: 'debugConsoleVport', fallback: 0, good: [['1026', 1026]], ...port },
  {
    param: 'agent.log_vport',
    name: 'logVport',
    fallback: 0,
    good: [
      ['1025', 1025],
      ['+7', 7],
    ],
    ...port,
  },
  { param: 'agent.passfd_listener_port', name: 'passfdListenerPort', fallback: 0, good: [['1027', 1027]], ...port },
  {
    param: 'agent.log',
    name: 'logLevel',
    fallback: 'info',
    good: [
      ['critical', 'critical'],
      ['fatal', 'critical'],
      ['panic', 'critical'],
      ['error', 'error'],
      ['warn', 'warn'],
      ['warning', 'warn'],
      ['info', 'info'],
      ['debug', 'debug'],
      ['trace', 'trace'],
    ],
    bad: ['', 'Debug', 'foo', 'debug=1', 'constructor'],
  },
  {
    param: 'agent.server_addr',
    name: 'serverAddr',
    fallback: 'vsock://-1:1024',
    good: [['unix://@/tmp/a=b', 'unix://@/tmp/a=b']],
    bad: [''],
  },
  { param: 'agent.trace', name: 'tracing', fallback: false, good: lenient },
  {
    param: 'agent.hotplug_timeout',
    name: 'hotplugTimeoutMs',
    fallback: 3000,
    good: [
      ['9', 9000],
      ['18446744073709551615', LONGEST_MS],
    ],
    ...seconds,
  },
  { param: 'agent.launch_process_timeout', name: 'launchProcessTimeoutMs', fallback: 6000, good: [['60', 60_000]], ...seconds },
  { param: 'agent.cdh_api_timeout', name: 'cdhApiTimeoutMs', fallback: 50_000, good: [['600', 600_000]], ...seconds },
  { param: 'agent.image_pull_timeout', name: 'imagePullTimeoutMs', fallback: 1_200_000, good: [['1', 1000]], ...seconds },
  { param: 'agent.cdi_timeout', name: 'cdiTimeoutMs', fallback: 100_000, good: [['320', 320_000]], ...seconds },
  { param: 'agent.visible_cdi_devices', name: 'visibleCdiDevices', fallback: false, good: lenient },
  {
    param: 'agent.container_pipe_size',
    name: 'containerPipeSize',
    fallback: 0,
    good: [
      ['2097152', 2_097_152],
      ['0', 0],
    ],
    bad: ['', '-1', 'x'],
  },
  {
    param: 'agent.https_proxy',
    name: 'httpsProxy',
    fallback: '',
    good: [['http://proxy.example:81', 'http://proxy.example:81/']],
    bad: ['', 'proxy.example', '//x'],
  },
  {
    param: 'agent.no_proxy',
    name: 'noProxy',
    fallback: '',
    good: [['*.internal,10.0.0.0/8', '*.internal,10.0.0.0/8']],
    bad: [''],
  },
  {
    param: 'agent.guest_components_rest_api',
    name: 'guestComponentsRestApi',
    fallback: 'resource',
    good: [
      ['all', 'all'],
      ['attestation', 'attestation'],
      ['resource', 'resource'],
    ],
    bad: ['', 'none', 'All'],
  },
  {
    param: 'agent.guest_components_procs',
    name: 'guestComponentsProcs',
    fallback: 'api-server-rest',
    good: ['none', 'attestation-agent', 'confidential-data-hub', 'api-server-rest'].map((word) => [word, word] as const),
    bad: ['', 'all'],
  },
  { param: 'agent.secure_storage_integrity', name: 'secureStorageIntegrity', fallback: true, good: lenient },
  { param: 'cgroup_no_v1', name: 'cgroupNoV1', fallback: '', good: [['all', 'all']], guarded: ['memory', 'ALL'], bad: [''] },
  { param: 'systemd.unified_cgroup_hierarchy', name: 'unifiedCgroupHierarchy', fallback: false, good: lenient },
  { param: 'agent.mem_agent_enable', name: 'memAgentEnable', fallback: false, good: lenient },
  { param: 'agent.mem_agent_memcg_disable', name: 'memAgentMemcgDisable', fallback: null, good: onOff, ...strict },
  { param: 'agent.mem_agent_memcg_swap', name: 'memAgentMemcgSwap', fallback: null, good: onOff, ...strict },
  {
    param: 'agent.mem_agent_memcg_swappiness_max',
    name: 'memAgentMemcgSwappinessMax',
    fallback: null,
    good: [['200', 200]],
    ...uint8,
  },
  {
    param: 'agent.mem_agent_memcg_period_secs',
    name: 'memAgentMemcgPeriodSecs',
    fallback: null,
    good: [
      ['18446744073709551615', '18446744073709551615'],
      ['300', '300'],
    ],
    ...uint64,
  },
  {
    param: 'agent.mem_agent_memcg_period_psi_percent_limit',
    name: 'memAgentMemcgPeriodPsiPercentLimit',
    fallback: null,
    good: [['50', 50]],
    ...uint8,
  },
  {
    param: 'agent.mem_agent_memcg_eviction_psi_percent_limit',
    name: 'memAgentMemcgEvictionPsiPercentLimit',
    fallback: null,
    good: [['0', 0]],
    ...uint8,
  },
  {
    param: 'agent.mem_agent_memcg_eviction_run_aging_count_min',
    name: 'memAgentMemcgEvictionRunAgingCountMin',
    fallback: null,
    good: [['3', '3']],
    ...uint64,
  },
  { param: 'agent.mem_agent_compact_disable', name: 'memAgentCompactDisable', fallback: null, good: onOff, ...strict },
  {
    param: 'agent.mem_agent_compact_period_secs',
    name: 'memAgentCompactPeriodSecs',
    fallback: null,
    good: [['600', '600']],
    ...uint64,
  },
  {
    param: 'agent.mem_agent_compact_period_psi_percent_limit',
    name: 'memAgentCompactPeriodPsiPercentLimit',
    fallback: null,
    good: [['255', 255]],
    ...uint8,
  },
  {
    param: 'agent.mem_agent_compact_psi_percent_limit',
    name: 'memAgentCompactPsiPercentLimit',
    fallback: null,
    good: [['1', 1]],
    ...uint8,
  },
  {
    param: 'agent.mem_agent_compact_sec_max',
    name: 'memAgentCompactSecMax',
    fallback: null,
    good: [
      ['-9223372036854775808', '-9223372036854775808'],
      ['9223372036854775807', '9223372036854775807'],
    ],
    wide: true,
    bad: ['', '9223372036854775808'],
    after: 'agent.mem_agent_enable=1',
  },
  { param: 'agent.mem_agent_compact_order', name: 'memAgentCompactOrder', fallback: null, good: [['9', 9]], ...uint8 },
  {
    param: 'agent.mem_agent_compact_threshold',
    name: 'memAgentCompactThreshold',
    fallback: null,
    good: [['1024', '1024']],
    ...uint64,
  },
  {
    param: 'agent.mem_agent_compact_force_times',
    name: 'memAgentCompactForceTimes',
    fallback: null,
    good: [['18446744073709551615', '18446744073709551615']],
    ...uint64,
  },
  {
    param: 'berth.allow_cid',
    name: 'allowCid',
    fallback: 2,
    good: [
      ['any', 'any'],
      ['3', 3],
      ['4294967294', 4294967294],
    ],
    bad: ['', '-1', 'host', '4294967295'],
  },
  {
    param: 'berth.state_dir',
    name: 'stateDir',
    fallback: '/run/berth',
    good: [['/run/x', '/run/x']],
    bad: ['', 'run', '/run/../etc'],
  },
  { param: 'berth.bundle_dir', name: 'bundleDir', fallback: '/run/kata-containers', good: [['/b', '/b']], bad: ['', 'b'] },
  {
    param: 'berth.serial_addr',
    name: 'serialAddr',
    fallback: '',
    good: [['serial:///dev/ttyS1', 'serial:///dev/ttyS1']],
    bad: [''],
  },
  { param: 'berth.crun', name: 'crunPath', fallback: '/usr/bin/crun', good: [['/opt/crun', '/opt/crun']], bad: ['', 'crun'] },
  {
    param: 'berth.policy_file',
    name: 'berthPolicyFile',
    fallback: '',
    good: [['/dev/vdb', '/dev/vdb']],
    bad: ['', 'policy.toml'],
  },
  { param: 'berth.spec_hooks', name: 'specHooks', fallback: false, good: [['true', true]], bad: ['', '1'] },
];
