// The addon's whole test suite once more, on a build with AddressSanitizer, UndefinedBehaviorSanitizer and LeakSanitizer.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildNative } from '../../../scripts/build-native.ts';

const ROOT = join(import.meta.dirname, '../../..');

describe('native under sanitizers', function () {
  this.timeout('10m');
  let addon = '';
  let folder = '';
  before(async () => {
    addon = await buildNative({ sanitize: true });
    folder = mkdtempSync(join(tmpdir(), 'berth-sanitize-'));
    // Node can't free a promise that a terminated worker left open.
    writeFileSync(join(folder, 'suppressions'), 'leak:napi_create_promise\n');
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    for (const name of readdirSync(folder)) if (name !== 'suppressions') rmSync(join(folder, name));
  });

  /** Runs the pinned Node with the sanitizers' libraries; their reports end up in `folder`. */
  const run = (...args: string[]): Promise<{ code: number | string; output: string }> => {
    const asan = realpathSync(execFileSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim());
    const log = join(folder, 'report');
    const env = {
      ...process.env,
      BERTH_ADDON: addon,
      LD_PRELOAD: asan,
      // Exit codes stay the tests' own: Node leaks a little by itself, and a report is judged by what is in it.
      ASAN_OPTIONS: `detect_leaks=1:exitcode=0:log_path=${log}`,
      LSAN_OPTIONS: `suppressions=${join(folder, 'suppressions')}:print_suppressions=0`,
      UBSAN_OPTIONS: 'print_stacktrace=1',
    };
    return new Promise((resolve) => {
      execFile(process.execPath, args, { env, cwd: ROOT, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        writeFileSync(`${log}.stderr`, stderr); // where UndefinedBehaviorSanitizer reports, whatever its log_path
        resolve({ code: error?.code ?? 0, output: stdout + stderr });
      });
    });
  };

  /** What was reported: every error, and each leak that our code had a part in. */
  const reports = (): string[] =>
    readdirSync(folder)
      .filter((name) => name.startsWith('report'))
      .flatMap((name) => readFileSync(join(folder, name), 'utf8').split(/\n\n/))
      .filter((block) => /runtime error:|ERROR: AddressSanitizer/.test(block) || /leak of[\s\S]* \.\.\/\w+\.(cc|h):/.test(block));

  for (const [kind, sign] of [
    ['overread', /heap-buffer-overflow[\s\S]* in Overread \.\.\/canary\.cc/],
    ['overflow', /signed integer overflow[\s\S]* in Overflow \.\.\/canary\.cc/],
    ['leak', /Direct leak of 64 byte[\s\S]* in Leak \.\.\/canary\.cc/],
  ] as const) {
    it(`see a planted error of the kind "${kind}"`, async () => {
      await run('-e', `require(${JSON.stringify(join(dirname(addon), 'canary.node'))}).${kind}()`);
      assert.match(reports().join('\n'), sign);
    });
  }

  it('see nothing in the whole suite of the addon', async () => {
    // Left out by name: tests that measure the heap, which is not malloc's under a sanitizer.
    const { code, output } = await run(
      'node_modules/mocha/bin/mocha.js',
      ...['--no-config', '--timeout', '120000', '--invert', '--fgrep', 'heap'],
      ...['--spec', 'test/unit/native/*.spec.ts', '--ignore', 'test/unit/native/sanitizers.spec.ts'],
    );
    assert.equal(code, 0, output);
    assert.match(output, /\d{3} passing/);
    assert.deepEqual(reports(), []);
  });
});
