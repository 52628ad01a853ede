import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseCmdline, splitCmdline } from '../../../agent/config/cmdline.ts';
import { mergeConfig } from '../../../agent/config/config.ts';
import { LONGEST_MS } from '../../../agent/config/kinds.ts';
import { type ConfigName, settings } from '../../../agent/config/settings.ts';
import { isAgentError } from '../../../agent/errors.ts';
import { refusal } from './refusal.ts';

interface Row {
  param: string;
  name: ConfigName;
  fallback: unknown;
  good: ReadonlyArray<readonly [text: string, value: unknown]>;
  /** Values that are read but not kept. */
  guarded?: readonly string[];
  bad?: readonly string[];
  /** Words that must come before. */
  after?: string;
}

const seconds = { guarded: ['0'], bad: ['', 'x', '-1', '1.5', '18446744073709551616'] };
const port = { guarded: ['0', '-1'], bad: ['', 'x', '1.5', '2147483648', '0x10'] };
const lenient: Row['good'] = [
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
const uint8 = { bad: ['', '-1', '256', 'x'], after: 'agent.mem_agent_enable=1' };
const uint64 = { bad: ['', '-1', '18446744073709551616'], after: 'agent.mem_agent_enable=1' };
const strict = { bad: ['1', '0', '', 'True', 'yes'], after: 'agent.mem_agent_enable=true' };
const onOff: Row['good'] = [
  ['true', true],
  ['false', false],
];

// Kata's table (kata-agent config.rs): each parameter with its default, what it takes and what it refuses.
const rows: Row[] = [
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
  { param: 'agent.mem_agent_memcg_disable', name: 'memAgentMemcgDisable', fallback: undefined, good: onOff, ...strict },
  { param: 'agent.mem_agent_memcg_swap', name: 'memAgentMemcgSwap', fallback: undefined, good: onOff, ...strict },
  {
    param: 'agent.mem_agent_memcg_swappiness_max',
    name: 'memAgentMemcgSwappinessMax',
    fallback: undefined,
    good: [['200', 200]],
    ...uint8,
  },
  {
    param: 'agent.mem_agent_memcg_period_secs',
    name: 'memAgentMemcgPeriodSecs',
    fallback: undefined,
    good: [
      ['18446744073709551615', 18446744073709551615n],
      ['300', 300n],
    ],
    ...uint64,
  },
  {
    param: 'agent.mem_agent_memcg_period_psi_percent_limit',
    name: 'memAgentMemcgPeriodPsiPercentLimit',
    fallback: undefined,
    good: [['50', 50]],
    ...uint8,
  },
  {
    param: 'agent.mem_agent_memcg_eviction_psi_percent_limit',
    name: 'memAgentMemcgEvictionPsiPercentLimit',
    fallback: undefined,
    good: [['0', 0]],
    ...uint8,
  },
  {
    param: 'agent.mem_agent_memcg_eviction_run_aging_count_min',
    name: 'memAgentMemcgEvictionRunAgingCountMin',
    fallback: undefined,
    good: [['3', 3n]],
    ...uint64,
  },
  { param: 'agent.mem_agent_compact_disable', name: 'memAgentCompactDisable', fallback: undefined, good: onOff, ...strict },
  {
    param: 'agent.mem_agent_compact_period_secs',
    name: 'memAgentCompactPeriodSecs',
    fallback: undefined,
    good: [['600', 600n]],
    ...uint64,
  },
  {
    param: 'agent.mem_agent_compact_period_psi_percent_limit',
    name: 'memAgentCompactPeriodPsiPercentLimit',
    fallback: undefined,
    good: [['255', 255]],
    ...uint8,
  },
  {
    param: 'agent.mem_agent_compact_psi_percent_limit',
    name: 'memAgentCompactPsiPercentLimit',
    fallback: undefined,
    good: [['1', 1]],
    ...uint8,
  },
  {
    param: 'agent.mem_agent_compact_sec_max',
    name: 'memAgentCompactSecMax',
    fallback: undefined,
    good: [
      ['-9223372036854775808', -9223372036854775808n],
      ['9223372036854775807', 9223372036854775807n],
    ],
    bad: ['', '9223372036854775808'],
    after: 'agent.mem_agent_enable=1',
  },
  { param: 'agent.mem_agent_compact_order', name: 'memAgentCompactOrder', fallback: undefined, good: [['9', 9]], ...uint8 },
  {
    param: 'agent.mem_agent_compact_threshold',
    name: 'memAgentCompactThreshold',
    fallback: undefined,
    good: [['1024', 1024n]],
    ...uint64,
  },
  {
    param: 'agent.mem_agent_compact_force_times',
    name: 'memAgentCompactForceTimes',
    fallback: undefined,
    good: [['18446744073709551615', 18446744073709551615n]],
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
  { param: 'berth.crun', name: 'crunPath', fallback: '/usr/bin/crun', good: [['/opt/crun', '/opt/crun']], bad: ['', 'crun'] },
];

describe('the kernel command line', () => {
  for (const { param, name, fallback, good, guarded = [], bad = [], after = '' } of rows) {
    describe(param, () => {
      const read = (text: string) => mergeConfig(parseCmdline(`quiet ${after} ${param}=${text} console=hvc0\n`).values)[name];

      it(`is ${fallback} by default`, () => assert.equal(mergeConfig(parseCmdline('quiet').values)[name], fallback));

      for (const [text, value] of good) it(`reads "${text}" as ${value}`, () => assert.equal(read(text), value));

      for (const text of guarded) {
        it(`keeps what it was for "${text}", and notes it`, () => {
          const [first] = good[0] ?? [''];
          const parsed = parseCmdline(`${param}=${first} ${param}=${text}`);
          assert.equal(parsed.values[name], good[0]?.[1]);
          assert.deepEqual(
            parsed.notes.map(({ key }) => key),
            [param],
          );
        });
      }

      for (const text of bad) {
        it(`refuses "${text}", naming the parameter, the value and the rule`, () => {
          const error = refusal(() => read(text));
          assert.equal(error.fields['key'], param);
          assert.equal(error.fields['value'], JSON.stringify(text));
          assert.match(error.message, /it must be \S/);
        });
      }
    });
  }

  it('has a row in this table for each parameter the code knows', () => {
    const tested = new Set([...rows.map(({ param }) => param), 'agent.debug_console', 'agent.devmode']);
    const known = settings.flatMap(([, { param }]) => param ?? []);
    assert.deepEqual(
      known.filter((param) => !tested.has(param)),
      [],
    );
  });

  for (const [param, name] of [
    ['agent.debug_console', 'debugConsole'],
    ['agent.devmode', 'devMode'],
  ] as const) {
    it(`takes ${param} as a bare word only`, () => {
      assert.equal(parseCmdline(`a ${param} b`).values[name], true);
      assert.equal(parseCmdline(`${param}=true`).values[name], undefined);
      assert.equal(parseCmdline(`${param}x`).values[name], undefined);
    });
  }

  it('takes agent.trace as a bare word too', () => assert.equal(parseCmdline('agent.trace').values.tracing, true));

  it('ignores a parameter that needs a value and has none', () => assert.deepEqual(parseCmdline('agent.log').values, {}));

  it('lets the last of two values count', () => {
    assert.equal(parseCmdline('agent.log=debug agent.log=trace').values.logLevel, 'trace');
  });

  it('reads the memory agent only behind agent.mem_agent_enable, even what would be refused', () => {
    const parsed = parseCmdline('agent.mem_agent_compact_order=x agent.mem_agent_enable=1 agent.mem_agent_compact_threshold=5');
    assert.deepEqual(parsed.values, { memAgentEnable: true, memAgentCompactThreshold: 5n });
  });

  it('leaves unknown parameters alone, and notes those that look like ours', () => {
    const parsed = parseCmdline('root=/dev/vda agent.logx=debug berth.x systemd.unit=kata agent bar');
    assert.deepEqual(parsed.values, {});
    assert.deepEqual(
      parsed.notes.map(({ key }) => key),
      ['agent.logx', 'berth.x'],
    );
  });

  it('names a configuration file as the only source, whatever else the line holds', () => {
    const parsed = parseCmdline('agent.log=nonsense agent.config_file=/etc/a=b.toml agent.trace');
    assert.deepEqual(parsed, { values: {}, notes: [], configFile: '/etc/a=b.toml' });
  });

  it('refuses a configuration file without a path', () => {
    assert.equal(refusal(() => parseCmdline('agent.config_file=')).fields['key'], 'agent.config_file');
  });

  it('cuts a long bad value short in the error', () => {
    assert.ok(refusal(() => parseCmdline(`agent.log=${'x'.repeat(100_000)}`)).message.length < 400);
  });

  it('never throws anything but AgentError', () => {
    const word = fc.oneof(
      fc.string(),
      fc
        .tuple(fc.constantFrom(...rows.map(({ param }) => param), 'agent.config_file', 'agent.debug_console'), fc.string())
        .map(([key, value]) => `${key}=${value}`),
    );
    const line = fc.array(word, { maxLength: 12 }).map((words) => words.join(' '));
    fc.assert(
      fc.property(line, (text) => {
        try {
          mergeConfig(parseCmdline(text).values);
        } catch (error) {
          assert.ok(isAgentError(error) && error.code === 'invalid_argument', String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('splitting the command line as the kernel does', () => {
  for (const { title, text, words } of [
    { title: 'separates at any white space', text: ' a\tb \n c\n', words: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] },
    { title: 'takes quotes off a value', text: 'x="a b" y', words: [{ name: 'x', value: 'a b' }, { name: 'y' }] },
    { title: 'takes quotes off a whole parameter', text: '"x=a b" y', words: [{ name: 'x', value: 'a b' }, { name: 'y' }] },
    { title: 'keeps quotes inside a value', text: 'x=a" "b', words: [{ name: 'x', value: 'a" "b' }] },
    { title: 'lets an open quote run to the end', text: 'x="a b', words: [{ name: 'x', value: 'a b' }] },
    { title: 'splits a parameter at its first equals sign', text: 'x=a=b', words: [{ name: 'x', value: 'a=b' }] },
    { title: 'takes an empty value for a value', text: 'x=', words: [{ name: 'x', value: '' }] },
    { title: 'takes a leading equals sign for part of a bare word', text: '=x', words: [{ name: '=x' }] },
    { title: 'finds nothing in nothing', text: ' \n', words: [] },
  ]) {
    it(title, () => assert.deepEqual(splitCmdline(text), words));
  }
});
