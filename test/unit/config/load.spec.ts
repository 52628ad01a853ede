import assert from 'node:assert/strict';
import fc from 'fast-check';
import { defaultConfig, describeConfig, mergeConfig } from '../../../agent/config/config.ts';
import { parseEnv, parseLaunchFacts } from '../../../agent/config/environment.ts';
import { loadConfig } from '../../../agent/config/load.ts';
import { hasCode, isAgentError } from '../../../agent/errors.ts';
import { refusal } from './refusal.ts';

const readFrom = (files: Record<string, string>) => (path: string) => {
  const text = files[path];
  if (text === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' });
  return text;
};

describe('the configuration', () => {
  it('takes the environment over the command line over the defaults', async () => {
    const files = readFrom({ '/proc/cmdline': 'agent.log=debug agent.log_vport=1025' });
    const { config } = await loadConfig({}, { KATA_AGENT_LOG_LEVEL: 'trace' }, files);
    assert.deepEqual([config.logLevel, config.logVport, config.serverAddr], ['trace', 1025, 'vsock://-1:1024']);
  });

  it('takes the environment over the file of --config, and never looks at the command line', async () => {
    const files = readFrom({ '/c.toml': 'log_level = "debug"\nserver_addr = "unix:///a"' });
    const { config } = await loadConfig({ configFile: '/c.toml' }, { KATA_AGENT_SERVER_ADDR: 'unix:///b' }, files);
    assert.deepEqual([config.logLevel, config.serverAddr], ['debug', 'unix:///b']);
  });

  it('takes nothing but the file that the command line names', async () => {
    const files = readFrom({
      '/proc/cmdline': 'agent.log=trace agent.config_file=/c.toml agent.trace',
      '/c.toml': 'log_vport = 9',
    });
    const { config, notes } = await loadConfig({}, { KATA_AGENT_LOG_LEVEL: 'nonsense', BERTH_ALLOW_CID: 'any' }, files);
    assert.deepEqual(config, { ...defaultConfig, logVport: 9 });
    assert.deepEqual(notes, []);
  });

  it('needs the kernel command line even outside of a VM', async () => {
    await assert.rejects(
      loadConfig({}, {}, readFrom({})),
      (error) => hasCode(error, 'not_found') && /proc\/cmdline/.test(error.message),
    );
  });

  it('fails when a named file is missing', async () => {
    await assert.rejects(
      loadConfig({ configFile: '/x' }, {}, readFrom({})),
      (error) => hasCode(error, 'not_found') && /\/x/.test(error.message),
    );
  });

  it('refuses a file longer than a configuration can be', async () => {
    const files = readFrom({ '/big': '#'.repeat(2 ** 20 + 1) });
    await assert.rejects(loadConfig({ configFile: '/big' }, {}, files), (error) => hasCode(error, 'invalid_argument'));
  });

  it('gives the notes of every source', async () => {
    const { notes } = await loadConfig({}, {}, () => 'agent.nope agent.log_vport=0');
    assert.deepEqual(
      notes.map(({ source, key }) => [source, key]),
      [
        ['command line', 'agent.nope'],
        ['command line', 'agent.log_vport'],
      ],
    );
  });

  it('is frozen', () => {
    const config = mergeConfig({ logVport: 1 });
    assert.throws(() => Object.assign(config, { logVport: 2 }), TypeError);
    assert.throws(() => Object.assign(defaultConfig, { logVport: 2 }), TypeError);
  });

  it('is described by what differs from the defaults, without the password of a proxy', () => {
    const config = mergeConfig({ logLevel: 'debug', httpsProxy: 'http://user:secret@proxy:81/', logVport: 0 });
    assert.deepEqual(describeConfig(config), { logLevel: 'debug', httpsProxy: 'http://hidden@proxy:81/' });
  });
});

describe('the environment', () => {
  for (const { env, values } of [
    { env: { KATA_AGENT_SERVER_ADDR: 'unix://@a' }, values: { serverAddr: 'unix://@a' } },
    { env: { KATA_AGENT_LOG_LEVEL: 'warning' }, values: { logLevel: 'warn' } },
    { env: { KATA_AGENT_TRACING: '1' }, values: { tracing: true } },
    { env: { KATA_AGENT_TRACING: 'no' }, values: { tracing: false } },
    { env: { KATA_AGENT_POLICY_FILE: '/p' }, values: { policyFile: '/p' } },
    { env: { KATA_ATTESTER_VARIANT: 'sev' }, values: { attesterVariant: 'sev' } },
    { env: { BERTH_ALLOW_CID: 'any' }, values: { allowCid: 'any' } },
    {
      env: { BERTH_STATE_DIR: '/s', BERTH_BUNDLE_DIR: '/b', BERTH_CRUN: '/c', BERTH_POLICY_FILE: '/p', BERTH_SPEC_HOOKS: 'true' },
      values: { stateDir: '/s', bundleDir: '/b', crunPath: '/c', berthPolicyFile: '/p', specHooks: true },
    },
    { env: { KATA_AGENT_LOG_LEVEL: '', KATA_AGENT_SERVER_ADDR: undefined }, values: {} },
    { env: { KATA_AGENT_UNKNOWN: 'x', PATH: '/bin' }, values: {} },
  ]) {
    it(`reads ${JSON.stringify(env)}`, () => assert.deepEqual(parseEnv(env).values, values));
  }

  for (const [key, value] of [
    ['KATA_AGENT_LOG_LEVEL', 'loud'],
    ['KATA_AGENT_POLICY_FILE', 'relative'],
    ['BERTH_ALLOW_CID', '-1'],
    ['BERTH_STATE_DIR', 'run'],
    ['BERTH_CRUN', '/a/../b'],
  ] as const) {
    it(`refuses ${key}=${value}, naming the variable`, () =>
      assert.equal(refusal(() => parseEnv({ [key]: value })).fields['key'], key));
  }

  it('never throws anything but AgentError', () => {
    const key = fc.constantFrom(
      'KATA_AGENT_SERVER_ADDR',
      'KATA_AGENT_LOG_LEVEL',
      'KATA_AGENT_TRACING',
      'BERTH_ALLOW_CID',
      'BERTH_STATE_DIR',
      'BERTH_KEEPER_FD',
    );
    fc.assert(
      fc.property(fc.dictionary(key, fc.string()), (env) => {
        for (const parse of [parseEnv, parseLaunchFacts]) {
          try {
            parse(env);
          } catch (error) {
            assert.ok(isAgentError(error) && error.code === 'invalid_argument', String(error));
          }
        }
      }),
    );
  });
});

describe('what PID 1 tells the agent', () => {
  it('is the socket to it and when it started', () => {
    assert.deepEqual(parseLaunchFacts({ BERTH_KEEPER_FD: '3', BERTH_INIT_UPTIME_MS: '412' }), { keeperFd: 3, initUptimeMs: 412 });
  });

  it('may be nothing', () => {
    assert.deepEqual(parseLaunchFacts({}), { keeperFd: undefined, initUptimeMs: undefined });
  });

  for (const [key, value] of [
    ['BERTH_KEEPER_FD', '2'],
    ['BERTH_KEEPER_FD', 'x'],
    ['BERTH_INIT_UPTIME_MS', '-1'],
    ['BERTH_INIT_UPTIME_MS', '1e3'],
  ] as const) {
    it(`refuses ${key}=${value}`, () => assert.equal(refusal(() => parseLaunchFacts({ [key]: value })).fields['key'], key));
  }
});
