import assert from 'node:assert/strict';
import { parseArguments, USAGE, versionLine } from '../../../agent/config/arguments.ts';
import { refusal } from './refusal.ts';

describe("the agent's arguments", () => {
  for (const { argv, wanted } of [
    { argv: [], wanted: { action: 'run', configFile: undefined } },
    { argv: ['-v'], wanted: { action: 'version', configFile: undefined } },
    { argv: ['--version'], wanted: { action: 'version', configFile: undefined } },
    { argv: ['-h'], wanted: { action: 'help', configFile: undefined } },
    { argv: ['--warm-up'], wanted: { action: 'warm-up', configFile: undefined } },
    { argv: ['-c', '/a.toml'], wanted: { action: 'run', configFile: '/a.toml' } },
    { argv: ['--config', '/a.toml'], wanted: { action: 'run', configFile: '/a.toml' } },
    { argv: ['--config=/a=b.toml'], wanted: { action: 'run', configFile: '/a=b.toml' } },
    { argv: ['--warm-up', '-c', '/a.toml'], wanted: { action: 'warm-up', configFile: '/a.toml' } },
  ]) {
    it(`reads ${JSON.stringify(argv)}`, () => assert.deepEqual(parseArguments(argv), wanted));
  }

  for (const argv of [
    ['-c'],
    ['--config'],
    ['--config='],
    ['-c', ''],
    ['init'],
    ['--version=1'],
    ['-x'],
    [''],
    ['toString'],
    ['__proto__'],
  ]) {
    it(`refuses ${JSON.stringify(argv)}, naming the argument`, () => {
      assert.equal(
        refusal(() => parseArguments(argv)).fields['argument'],
        argv[0]?.replace('=', argv[0] === '--config=' ? '' : '='),
      );
    });
  }

  it('are told by the usage', () => {
    for (const option of ['--config', '--version', '--help', '--warm-up']) assert.ok(USAGE.includes(option), option);
  });
});

describe('the version line', () => {
  it("has the form of Kata's agent", () => {
    assert.equal(
      versionLine('4.1.0', 'abc123', ['seccomp', 'x']),
      'kata-agent version 4.1.0 (api version: 0.0.1, commit version: abc123, type: rust, extra-features: ["seccomp", "x"])',
    );
  });

  it('shows no features as an empty list', () => {
    assert.match(versionLine('1', 'c', []), /extra-features: \[\]\)$/);
  });
});
