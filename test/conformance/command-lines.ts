// Whole kernel command lines, with what else a Kata image may bring, and the configuration that has to come of them (kata-agent.md
// §1.4): which source counts, what is left alone, what is fatal. Each parameter by itself is in command-line-rows.ts.

export interface CommandLineCase {
  readonly id: string;
  readonly cmdline: string;
  readonly environment?: { readonly [name: string]: string };
  /** Files by path. */
  readonly files?: { readonly [path: string]: string };
  /** `--config` of the agent itself. */
  readonly configFile?: string;
  /** What differs from the defaults, and nothing else; 64-bit numbers as decimal text. */
  readonly config?: { readonly [setting: string]: boolean | number | string };
  /** The agent must not start; the text names this. */
  readonly refused?: string;
}

/** What both runtimes put on the line of every guest. */
const KATA =
  'tsc=reliable no_timer_check rcupdate.rcu_expedited=1 i8042.direct=1 console=hvc0 cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1';
const KATA_CONFIG = { cgroupNoV1: 'all', unifiedCgroupHierarchy: true };

export const commandLines: readonly CommandLineCase[] = [
  { id: 'nothing', cmdline: '', config: {} },
  { id: 'nothing-of-ours', cmdline: 'root=/dev/vda1 rw quiet systemd.unit=kata-containers.target panic=1', config: {} },
  { id: 'of-every-kata-guest', cmdline: KATA, config: KATA_CONFIG },
  {
    id: 'of-the-go-runtime-with-debugging',
    cmdline: `${KATA} agent.log=debug agent.debug_console agent.debug_console_vport=1026 agent.log_vport=1025`,
    config: { ...KATA_CONFIG, logLevel: 'debug', debugConsole: true, debugConsoleVport: 1026, logVport: 1025 },
  },
  {
    id: 'of-runtime-rs-with-passed-descriptors',
    cmdline: `${KATA} agent.log_vport=1025 agent.passfd_listener_port=1027 agent.hotplug_timeout=10`,
    config: { ...KATA_CONFIG, logVport: 1025, passfdListenerPort: 1027, hotplugTimeoutMs: 10_000 },
  },
  { id: 'a-bare-word-with-a-value-is-not-the-word', cmdline: 'agent.debug_console=true agent.devmode=1', config: {} },
  { id: 'trace-as-a-word', cmdline: 'agent.trace', config: { tracing: true } },
  { id: 'trace-as-a-number', cmdline: 'agent.trace=2', config: { tracing: true } },
  { id: 'the-last-of-two-counts', cmdline: 'agent.log=debug agent.log=warn', config: { logLevel: 'warn' } },
  { id: 'a-port-of-zero-keeps-the-one-before', cmdline: 'agent.log_vport=1025 agent.log_vport=0', config: { logVport: 1025 } },
  { id: 'a-time-of-zero-keeps-the-default', cmdline: 'agent.hotplug_timeout=0', config: {} },
  { id: 'another-controller-is-not-all', cmdline: 'cgroup_no_v1=memory', config: {} },
  {
    id: 'mem-agent-before-it-is-enabled',
    cmdline: 'agent.mem_agent_compact_order=x agent.mem_agent_enable=1 agent.mem_agent_compact_threshold=5',
    config: { memAgentEnable: true, memAgentCompactThreshold: '5' },
  },
  {
    id: 'the-environment-over-the-line',
    cmdline: 'agent.log=debug agent.server_addr=unix:///a',
    environment: { KATA_AGENT_LOG_LEVEL: 'trace', KATA_AGENT_SERVER_ADDR: 'unix:///b', KATA_AGENT_TRACING: '1' },
    config: { logLevel: 'trace', serverAddr: 'unix:///b', tracing: true },
  },
  {
    id: 'a-file-of-the-line-is-the-only-source',
    cmdline: 'agent.log=nonsense agent.config_file=/c.toml agent.trace',
    environment: { KATA_AGENT_LOG_LEVEL: 'trace' },
    files: { '/c.toml': 'log_vport = 9\nhotplug_timeout = { secs = 2, nanos = 500000000 }\n' },
    config: { logVport: 9, hotplugTimeoutMs: 2500 },
  },
  {
    id: 'a-file-of-the-agent-s-own-and-the-environment',
    cmdline: 'agent.log=trace',
    configFile: '/own.toml',
    environment: { KATA_AGENT_LOG_LEVEL: 'warn' },
    files: { '/own.toml': 'log_level = "debug"\ndev_mode = true\n' },
    config: { logLevel: 'warn', devMode: true },
  },
  {
    id: 'the-old-list-of-endpoints-is-ignored',
    cmdline: 'agent.config_file=/c.toml',
    files: { '/c.toml': 'dev_mode = true\n[endpoints]\nallowed = ["CreateContainerRequest"]\n' },
    config: { devMode: true },
  },
  { id: 'an-unknown-level', cmdline: 'agent.log=loud', refused: 'agent\\.log' },
  { id: 'a-port-that-is-no-number', cmdline: 'agent.log_vport=x', refused: 'agent\\.log_vport' },
  { id: 'a-negative-pipe', cmdline: 'agent.container_pipe_size=-1', refused: 'agent\\.container_pipe_size' },
  {
    id: 'one-for-true',
    cmdline: 'agent.mem_agent_enable=1 agent.mem_agent_memcg_swap=1',
    refused: 'agent\\.mem_agent_memcg_swap',
  },
  { id: 'a-file-that-is-not-there', cmdline: 'agent.config_file=/none.toml', refused: '/none\\.toml' },
  { id: 'a-file-that-is-no-toml', cmdline: 'agent.config_file=/c.toml', files: { '/c.toml': 'log_level =' }, refused: '' },
  {
    id: 'seconds-where-a-table-belongs',
    cmdline: 'agent.config_file=/c.toml',
    files: { '/c.toml': 'hotplug_timeout = 3\n' },
    refused: 'hotplug_timeout',
  },
  {
    id: 'an-environment-that-can-not-be',
    cmdline: '',
    environment: { KATA_AGENT_LOG_LEVEL: 'loud' },
    refused: 'KATA_AGENT_LOG_LEVEL',
  },
];
