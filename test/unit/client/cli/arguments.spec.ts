import assert from 'node:assert/strict';
import { type Options, parseArguments } from '../../../../client/cli/arguments.ts';

const options: Options = {
  interactive: { kind: 'flag', short: 'i', help: '' },
  tty: { kind: 'flag', short: 't', help: '' },
  rm: { kind: 'flag', help: '' },
  'sig-proxy': { kind: 'flag', on: true, help: '' },
  name: { kind: 'text', help: '' },
  env: { kind: 'list', short: 'e', help: '' },
};

describe('command lines', () => {
  const parse = (...argv: string[]) => parseArguments(argv, options, true);

  it('take joined short flags, values with and without =, and lists', () => {
    const args = parse('-it', '--name', 'x', '-e', 'A=1', '-eB=2', '--env=C', 'sh');
    assert.deepEqual([args.flag('interactive'), args.flag('tty'), args.text('name')], [true, true, 'x']);
    assert.deepEqual(args.list('env'), ['A=1', 'B=2', 'C']);
    assert.deepEqual(args.positionals, ['sh']);
  });

  it('leave the options of the command alone', () => {
    assert.deepEqual(parse('-t', 'ls', '-la', '--rm', '--sig-proxy=false').positionals, [
      'ls',
      '-la',
      '--rm',
      '--sig-proxy=false',
    ]);
    assert.equal(parse('ls', '--rm').flag('rm'), false);
  });

  it('take -- as the end of the options, once', () => {
    assert.deepEqual(parse('--rm', '--', '-x', '--', 'y').positionals, ['-x', '--', 'y']);
    assert.deepEqual(parse('sh', '-c', '--', 'x').positionals, ['sh', '-c', '--', 'x']);
  });

  it('give flags a value as docker does', () => {
    assert.equal(parse('--rm=true').flag('rm'), true);
    assert.equal(parse('--rm=false').flag('rm'), false);
    assert.equal(parse('--sig-proxy=false').flag('sig-proxy'), false);
    assert.equal(parse('--no-sig-proxy').flag('sig-proxy'), false);
    assert.equal(parse().flag('sig-proxy'), true);
  });

  it('do not take the value of an option for the command', () => {
    const args = parse('--name', 'sh', '-e', 'X', 'true', '-e');
    assert.deepEqual([args.text('name'), args.positionals], ['sh', ['true', '-e']]);
  });

  it('may have options after arguments where no command follows', () => {
    const args = parseArguments(['a', '--rm', 'b'], options, false);
    assert.deepEqual([args.flag('rm'), args.positionals], [true, ['a', 'b']]);
  });

  for (const [argv, message] of [
    [['--nope'], /unknown option '--nope'/],
    [['--name'], /'--name <value>' argument missing/],
    [['-x', 'sh'], /unknown option '-x'/],
    [['--rm=maybe'], /'--rm' does not take an argument/],
  ] as const) {
    it(`refuse ${argv.join(' ')} in one line`, () => {
      assert.throws(
        () => parse(...argv),
        (error: Error) => message.test(error.message) && !error.message.includes('\n'),
      );
    });
  }
});
