import assert from 'node:assert/strict';
import type { SourceFile } from '../../../scripts/architecture/imports.ts';
import { checkArchitecture, MAX_LINES, type Violation } from '../../../scripts/architecture/rules.ts';

const file = (path: string, ...lines: string[]): SourceFile => ({ path, text: `${lines.join('\n')}\n` });

/** Files that hold to every rule. */
const clean: SourceFile[] = [
  file('agent/main.ts', "import './config/load.ts';", "import { listen } from './transport/vsock.ts';"),
  file('agent/errors.ts', 'export const a = 1;'),
  file('agent/log-sink.ts', "openSync('/proc/self/fd/1');"),
  file('agent/config/load.ts', "import { a } from '../errors.ts';"),
  file('agent/api/kata/health.ts', "import { Health } from '#proto/kata.js';", "import { x } from '../../sandbox/sandbox.ts';"),
  file(
    'agent/sandbox/sandbox.ts',
    "import { spawn } from '../process/spawn.ts';",
    "import type { Config } from '../config/settings.ts';",
  ),
  file(
    'agent/process/spawn.ts',
    "import { native } from '../../native/index.ts';",
    '// waitpid(-1) would steal; readFileSync( too',
  ),
  file('agent/rpc/grpc/server.ts', "import grpc from '@grpc/grpc-js';"),
  file('agent/transport/pipe-handle.ts', "const { Pipe } = process.binding('pipe_wrap'); socket._handle;"),
  file('client/cli/main.ts', "import { frame } from '../../agent/rpc/ttrpc/frame.ts';", 'readFileSync(path);'),
  file('native/init/reap.c', '  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {}'),
  file('native/addon/spawn.cc', "  // a quote's end", '  waitid(P_PIDFD, pidfd, &info, WEXITED);'),
];

const planted: ReadonlyArray<{ title: string; rule: Violation['rule']; files: SourceFile[] }> = [
  {
    title: 'the core importing an API',
    rule: 'arrow',
    files: [file('agent/container/crun.ts', "import { x } from '../api/kata/health.ts';")],
  },
  {
    title: 'the core importing a transport',
    rule: 'arrow',
    files: [file('agent/sandbox/x.ts', "import '../transport/vsock.ts';")],
  },
  {
    title: 'rpc importing the core',
    rule: 'arrow',
    files: [file('agent/rpc/x.ts', "import type { S } from '../sandbox/sandbox.ts';")],
  },
  {
    title: 'rpc importing an API lazily',
    rule: 'arrow',
    files: [file('agent/rpc/x.ts', "const x = await import('../api/kata/health.ts');")],
  },
  {
    title: 'an API importing the addon',
    rule: 'arrow',
    files: [file('agent/api/kata/x.ts', "import { native } from '../../../native/index.ts';")],
  },
  {
    title: 'configuration imported as a value',
    rule: 'arrow',
    files: [file('agent/container/x.ts', "import { defaultConfig } from '../config/config.ts';")],
  },
  { title: 'anything of ours importing main', rule: 'arrow', files: [file('agent/lifecycle.ts', "import './main.ts';")] },
  {
    title: 'the addon door importing the agent',
    rule: 'arrow',
    files: [file('native/index.ts', "import '../agent/errors.ts';")],
  },
  {
    title: 'the client importing the core',
    rule: 'arrow',
    files: [file('client/x.ts', "import '../agent/sandbox/sandbox.ts';")],
  },
  { title: 'the agent importing the client', rule: 'arrow', files: [file('agent/guest/x.ts', "import '../../client/x.ts';")] },
  { title: 'a script importing a test', rule: 'arrow', files: [file('scripts/x.ts', "import '../test/support/guest.ts';")] },
  { title: 'a file outside every part', rule: 'arrow', files: [file('agent/misc/x.ts', "import '../errors.ts';")] },
  { title: 'an import without an ending', rule: 'missing', files: [file('agent/config/x.ts', "import '../errors';")] },
  {
    title: 'generated messages below the API',
    rule: 'reserved',
    files: [file('agent/sandbox/x.ts', "import type { A } from '#proto/kata.js';")],
  },
  {
    title: 'grpc-js outside of rpc/grpc',
    rule: 'reserved',
    files: [file('agent/rpc/ttrpc/x.ts', "import grpc from '@grpc/grpc-js/build/x.js';")],
  },
  { title: 'winston beside the log', rule: 'reserved', files: [file('agent/guest/x.ts', "await import('winston');")] },
  {
    title: 'execa beside the tool runner',
    rule: 'reserved',
    files: [file('agent/guest/x.ts', "import { execa } from 'execa';")],
  },
  {
    title: 'two files that import each other',
    rule: 'cycle',
    files: [file('agent/guest/a.ts', "import './b.ts';"), file('agent/guest/b.ts', "import './a.ts';")],
  },
  {
    title: 'a ring of three that only types close',
    rule: 'cycle',
    files: [
      file('agent/guest/a.ts', "import './b.ts';"),
      file('agent/guest/b.ts', "export * from './c.ts';"),
      file('agent/guest/c.ts', "import type { A } from './a.ts';"),
    ],
  },
  {
    title: 'a pipe handle outside of its file',
    rule: 'pipe-handle',
    files: [file('agent/transport/unix.ts', "process.binding('pipe_wrap');")],
  },
  { title: "a socket's handle touched by the client", rule: 'pipe-handle', files: [file('client/x.ts', 'socket._handle.fd;')] },
  {
    title: 'a file that is too long',
    rule: 'length',
    files: [file('test/vm/x.spec.ts', ...Array<string>(MAX_LINES + 1).fill('a;'))],
  },
  { title: 'a long C file', rule: 'length', files: [file('native/init/x.c', ...Array<string>(MAX_LINES + 1).fill('a;'))] },
  {
    title: 'a synchronous call in the agent',
    rule: 'sync-call',
    files: [file('agent/guest/x.ts', "const a = fs.readFileSync('/x');")],
  },
  {
    title: 'a synchronous call that start-up is not allowed',
    rule: 'sync-call',
    files: [file('agent/log-sink.ts', "writeSync(1, 'x');")],
  },
  { title: 'a file named utils', rule: 'name', files: [file('agent/guest/string-utils.ts', '')] },
  { title: 'a folder named helpers', rule: 'name', files: [file('test/helpers/x.ts', '')] },
  { title: 'a manager', rule: 'name', files: [file('agent/sandbox/container-manager.ts', '')] },
  {
    title: 'the addon waiting for any child',
    rule: 'reap-all',
    files: [file('native/addon/x.cc', 'pid = waitpid( -1, &status, 0);')],
  },
  {
    title: 'the addon waiting for all',
    rule: 'reap-all',
    files: [file('native/addon/x.cc', 'waitid(P_ALL, 0, &info, WEXITED);')],
  },
  { title: 'the agent waiting for any child', rule: 'reap-all', files: [file('agent/process/x.ts', 'native().waitpid(-1);')] },
];

describe('the architecture check', () => {
  it('finds nothing in files that hold to the rules, comments and strings included', () => {
    assert.deepEqual(checkArchitecture(clean), []);
  });

  for (const { title, rule, files } of planted) {
    it(`catches ${title}`, () => {
      const rest = clean.filter(({ path }) => !files.some((other) => other.path === path));
      const found = checkArchitecture([...rest, ...files]);
      assert.deepEqual([...new Set(found.map((violation) => violation.rule))], [rule], JSON.stringify(found, null, 1));
      assert.equal(found.length, 1);
    });
  }

  it('names the line', () => {
    const [violation] = checkArchitecture([file('agent/rpc/x.ts', '// one', "import '../sandbox/sandbox.ts';")]);
    assert.equal(violation?.line, 2);
  });

  it('allows a file of the greatest length', () => {
    assert.deepEqual(checkArchitecture([file('agent/guest/x.ts', ...Array<string>(MAX_LINES).fill('a;'))]), []);
  });
});
