import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseCmdline, splitCmdline } from '../../../agent/config/cmdline.ts';
import { mergeConfig } from '../../../agent/config/config.ts';
import { settings } from '../../../agent/config/settings.ts';
import { isAgentError } from '../../../agent/errors.ts';
import { cmdlineRows as rows } from '../../conformance/command-line-rows.ts';
import { refusal } from './refusal.ts';

describe('the kernel command line', () => {
  for (const { param, name, fallback, good, wide = false, guarded = [], bad = [], after = '' } of rows) {
    describe(param, () => {
      const setting = (values: unknown) => (values as Record<string, unknown>)[name];
      const read = (text: string) => setting(mergeConfig(parseCmdline(`quiet ${after} ${param}=${text} console=hvc0\n`).values));
      const meant = (value: unknown) => (value === null ? undefined : wide ? BigInt(String(value)) : value);

      it(`is ${fallback} by default`, () => assert.equal(setting(mergeConfig(parseCmdline('quiet').values)), meant(fallback)));

      for (const [text, value] of good) it(`reads "${text}" as ${value}`, () => assert.equal(read(text), meant(value)));

      for (const text of guarded) {
        it(`keeps what it was for "${text}", and notes it`, () => {
          const [first] = good[0] ?? [''];
          const parsed = parseCmdline(`${param}=${first} ${param}=${text}`);
          assert.equal(setting(parsed.values), meant(good[0]?.[1]));
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
