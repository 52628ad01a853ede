// The examples of docs/typescript.md, each run as a program of its own on a booted guest.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sharedGuest, type TestGuest } from '../support/guest.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/typescript.md'), 'utf8');
const examples = [...page.matchAll(/^## (.+)\n(?:(?!^## )[\s\S])*?```ts\n([\s\S]*?)```/gm)].map(([, title, code]) => ({
  title: title!,
  code: code!,
}));

/** What an example's output must hold. */
const PRINTS: Readonly<Record<string, readonly RegExp[]>> = {
  'Run a program and read it': [/^hi$/m, /^code 3$/m],
  'A container': [/^0::\/.+$/m, /^\d+n 1n$/m],
  'Feed it, and stop when told': [/\[ '1', '2', '3' \]/],
  'Come back later, from another program': [/before: first/, /read up to (6|13)n/, /after: first/, /second/],
  'Kill everything it has started': [/^\[\]$/m, /^signalled$/m],
  'Follow what happens': [/process\.started/, /process\.exited/],
  'Reach what listens there': [/^hello from a container$/m, /^200 23$/m],
  'See what the agent is doing': [/^resident \d+n late by [\d.]+ ms$/m, /^berth-client grpc \d+n$/m],
  'Stream a log to a file': [/^exited 588895$/m],
  'An interactive shell': [/^\r?42\r$/m],
  'Give up after a while': [/^ran out of timeout$/m],
  'Stop in good order': [/^ready\nsaved$/m, /kind: 'exited'/],
  'Many containers at once': [/^part 1 of .*: 1\npart 2 of .*: 2\npart 3 of .*: 3\nleft: 0$/m],
  'Tell failures apart': [/^cannot be started: program ENOENT$/m, /^is not there: .*nobody/m],
  'Pipe through Web Streams': [/^50000$/m],
  Files: [/^answer = 42$/m, /^config regular 12n$/m, /^600$/m, /^config -> settings$/m],
};
/** What is typed to an example. */
const TYPED: Readonly<Record<string, string>> = { 'An interactive shell': 'echo $((6 * 7))\nexit 0\n' };

describe('an example of docs/typescript.md', () => {
  let guest: TestGuest;
  let folder: string;

  before(async () => {
    guest = await sharedGuest();
    // Below the checkout, so that a program finds the package by its name.
    folder = await mkdtemp(join(ROOT, 'build/examples-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('is there for each that is expected', () => {
    assert.deepEqual(
      examples.map(({ title }) => title),
      Object.keys(PRINTS),
    );
  });

  for (const [at, { title, code }] of examples.entries()) {
    it(`works: ${title}`, async () => {
      const file = join(folder, `example-${at}.ts`);
      await writeFile(file, code);
      const env = { ...process.env, BERTH_ADDRESS: guest.guest.address };
      const running = promisify(execFile)(process.execPath, [file], { env, timeout: 60_000 });
      running.child.stdin!.end(TYPED[title] ?? '');
      const { stdout } = await running;
      for (const pattern of PRINTS[title] ?? []) assert.match(stdout, pattern);
    });
  }
});
