import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LONGEST_MS } from '../../../agent/config/kinds.ts';
import { type ConfigName, settings } from '../../../agent/config/settings.ts';
import { parseToml } from '../../../agent/config/toml.ts';
import { isAgentError } from '../../../agent/errors.ts';
import { refusal } from './refusal.ts';

const good: ReadonlyArray<readonly [toml: string, name: ConfigName, value: unknown]> = [
  ['debug_console = true', 'debugConsole', true],
  ['dev_mode = true', 'devMode', true],
  ['log_level = "trace"', 'logLevel', 'trace'],
  ['hotplug_timeout = { secs = 8, nanos = 500_000_000 }', 'hotplugTimeoutMs', 8500],
  ['hotplug_timeout = { secs = 9223372036854775807, nanos = 0 }', 'hotplugTimeoutMs', LONGEST_MS],
  ['[cdh_api_timeout]\nsecs = 1\nnanos = 0', 'cdhApiTimeoutMs', 1000],
  ['image_pull_timeout = { secs = 2, nanos = 0 }', 'imagePullTimeoutMs', 2000],
  ['cdi_timeout = { secs = 3, nanos = 0 }', 'cdiTimeoutMs', 3000],
  ['launch_process_timeout = { secs = 4, nanos = 0 }', 'launchProcessTimeoutMs', 4000],
  ['visible_cdi_devices = true', 'visibleCdiDevices', true],
  ['debug_console_vport = 1026', 'debugConsoleVport', 1026],
  ['log_vport = 1025', 'logVport', 1025],
  ['container_pipe_size = 4096', 'containerPipeSize', 4096],
  ['server_addr = "vsock://3:1024"', 'serverAddr', 'vsock://3:1024'],
  ['passfd_listener_port = 1027', 'passfdListenerPort', 1027],
  ['unified_cgroup_hierarchy = true', 'unifiedCgroupHierarchy', true],
  ['tracing = true', 'tracing', true],
  ['https_proxy = "http://p:1"', 'httpsProxy', 'http://p:1/'],
  ['https_proxy = ""', 'httpsProxy', ''],
  ['no_proxy = "a,b"', 'noProxy', 'a,b'],
  ['guest_components_rest_api = "all"', 'guestComponentsRestApi', 'all'],
  ['guest_components_procs = "none"', 'guestComponentsProcs', 'none'],
  ['secure_storage_integrity = false', 'secureStorageIntegrity', false],
  ['policy_file = "/etc/policy.rego"', 'policyFile', '/etc/policy.rego'],
  ['mem_agent_enable = true', 'memAgentEnable', true],
  ['mem_agent_memcg_disable = true', 'memAgentMemcgDisable', true],
  ['mem_agent_memcg_swap = false', 'memAgentMemcgSwap', false],
  ['mem_agent_memcg_swappiness_max = 7', 'memAgentMemcgSwappinessMax', 7],
  ['mem_agent_memcg_period_secs = 9007199254740993', 'memAgentMemcgPeriodSecs', 9007199254740993n],
  ['mem_agent_memcg_period_psi_percent_limit = 1', 'memAgentMemcgPeriodPsiPercentLimit', 1],
  ['mem_agent_memcg_eviction_psi_percent_limit = 1', 'memAgentMemcgEvictionPsiPercentLimit', 1],
  ['mem_agent_memcg_eviction_run_aging_count_min = 1', 'memAgentMemcgEvictionRunAgingCountMin', 1n],
  ['mem_agent_compact_disable = true', 'memAgentCompactDisable', true],
  ['mem_agent_compact_period_secs = 1', 'memAgentCompactPeriodSecs', 1n],
  ['mem_agent_compact_period_psi_percent_limit = 1', 'memAgentCompactPeriodPsiPercentLimit', 1],
  ['mem_agent_compact_psi_percent_limit = 1', 'memAgentCompactPsiPercentLimit', 1],
  ['mem_agent_compact_sec_max = -1', 'memAgentCompactSecMax', -1n],
  ['mem_agent_compact_order = 9', 'memAgentCompactOrder', 9],
  ['mem_agent_compact_threshold = 1', 'memAgentCompactThreshold', 1n],
  ['mem_agent_compact_force_times = 1', 'memAgentCompactForceTimes', 1n],
  ['berth_allow_cid = "any"', 'allowCid', 'any'],
  ['berth_allow_cid = 5', 'allowCid', 5],
  ['berth_state_dir = "/s"', 'stateDir', '/s'],
  ['berth_bundle_dir = "/b"', 'bundleDir', '/b'],
  ['berth_serial_addr = "serial://a"', 'serialAddr', 'serial://a'],
  ['berth_crun = "/c"', 'crunPath', '/c'],
  ['berth_policy_file = "/p"', 'berthPolicyFile', '/p'],
  ['berth_spec_hooks = true', 'specHooks', true],
];

describe('the TOML file', () => {
  for (const [toml, name, value] of good) {
    it(`reads ${JSON.stringify(toml)}`, () => assert.deepEqual(parseToml(toml), { values: { [name]: value }, notes: [] }));
  }

  it('is tested above for each key the code knows', () => {
    const tested = new Set(good.map(([, name]) => name));
    const known = settings.filter(([, { toml }]) => toml !== undefined).map(([name]) => name);
    assert.deepEqual(
      known.filter((name) => !tested.has(name)),
      [],
    );
  });

  for (const [toml, key] of [
    ['hotplug_timeout = 3', 'hotplug_timeout'],
    ['hotplug_timeout = { secs = 3 }', 'hotplug_timeout'],
    ['hotplug_timeout = { secs = -3, nanos = 0 }', 'hotplug_timeout'],
    ['log_level = "loud"', 'log_level'],
    ['log_level = 3', 'log_level'],
    ['debug_console = 1', 'debug_console'],
    ['tracing = "true"', 'tracing'],
    ['log_vport = "1025"', 'log_vport'],
    ['log_vport = 1025.0', 'log_vport'],
    ['log_vport = [1]', 'log_vport'],
    ['mem_agent_compact_order = 256', 'mem_agent_compact_order'],
    ['https_proxy = "nowhere"', 'https_proxy'],
    ['berth_allow_cid = -1', 'berth_allow_cid'],
    ['berth_crun = "crun"', 'berth_crun'],
  ] as const) {
    it(`refuses ${toml}, naming the key`, () => assert.equal(refusal(() => parseToml(toml)).fields['key'], key));
  }

  it('keeps the default for a value that breaks its guard', () => {
    const parsed = parseToml('hotplug_timeout = { secs = 0, nanos = 0 }\nlog_vport = -1');
    assert.deepEqual(parsed.values, {});
    assert.equal(parsed.notes.length, 2);
  });

  it('ignores unknown keys and the old endpoint filter, and notes them', () => {
    const parsed = parseToml('colour = 1\n[endpoints]\nallowed = ["CreateSandboxRequest"]\n__proto__ = 1\n[constructor]\nx = 1');
    assert.deepEqual(parsed.values, {});
    assert.deepEqual(
      parsed.notes.map(({ key }) => key).filter((key) => key !== 'constructor'),
      ['colour', 'endpoints'],
    );
  });

  it('refuses what is not TOML', () => assert.match(refusal(() => parseToml('log_level = ')).message, /not TOML/));

  it('never throws anything but AgentError', () => {
    const key = fc.constantFrom(...settings.flatMap(([, { toml }]) => toml ?? []));
    const value = fc.oneof(
      fc.json(),
      fc.string(),
      fc.integer().map(String),
      fc.constantFrom('{ secs = 1, nanos = 1 }', '[[1]]', '1979-05-27'),
    );
    const text = fc.oneof(
      fc.string(),
      fc
        .array(
          fc.tuple(key, value).map(([k, v]) => `${k} = ${v}`),
          { maxLength: 6 },
        )
        .map((lines) => lines.join('\n')),
    );
    fc.assert(
      fc.property(text, (document) => {
        try {
          parseToml(document);
        } catch (error) {
          assert.ok(isAgentError(error) && error.code === 'invalid_argument', String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
