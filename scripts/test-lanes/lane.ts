// One run of mocha whose output is kept until it ends, so that two beside each other stay readable.
import { spawn } from 'node:child_process';

export interface RunResult {
  readonly title: string;
  readonly passed: boolean;
  readonly seconds: number;
  readonly output: string;
}

export interface RunningTest {
  readonly title: string;
  /** What it has said so far. */
  readonly output: () => string;
  readonly done: Promise<RunResult>;
}

/** @param args of the Node that runs this */
export function startRun(title: string, args: readonly string[], cwd: string): RunningTest {
  const began = performance.now();
  // Without colours, asked for or not: the programs that tests start would print them too.
  const { FORCE_COLOR: _, ...env } = process.env;
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const { promise, resolve } = Promise.withResolvers<RunResult>();
  const end = (passed: boolean) => resolve({ title, passed, seconds: Math.round((performance.now() - began) / 1000), output });
  child.once('error', (error) => {
    output += `${error}\n`;
    end(false);
  });
  child.once('close', (code) => end(code === 0));
  return { title, output: () => output, done: promise };
}

/** mocha's account of its failures, which is the end of what it says; all of it where there is none. */
export function failuresOf(output: string): string {
  const at = output.search(/^.*\b\d+ failing\b/m);
  return at === -1 ? output : output.slice(at);
}
