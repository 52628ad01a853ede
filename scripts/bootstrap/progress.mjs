// Progress of long steps, for people and for logs: a line when a step begins, one each 15 s while it goes on, one when
// it ends. What its commands print goes to a log file, whose end is shown when they fail.
import { spawn } from 'node:child_process';
import { appendFile, mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';

const HEARTBEAT_MS = 15_000;
const TAIL_LINES = 40;

// One clock for the bootstrap and the build it starts.
const started = Number(process.env.BERTH_STARTED_MS) || Date.now();
process.env.BERTH_STARTED_MS = String(started);

/** Prints one line with the seconds since the job began. @param {string} text */
export function say(text) {
  const seconds = String(Math.round((Date.now() - started) / 1000)).padStart(4);
  console.log(`[${seconds} s] ${text}`);
}

/**
 * Runs `work`, telling when it began, that it goes on, and how long it took.
 * @template T
 * @param {string} label @param {() => Promise<T>} work @param {string} done how its end is told @returns {Promise<T>}
 */
export async function timed(label, work, done = 'built') {
  const from = Date.now();
  const seconds = () => ((Date.now() - from) / 1000).toFixed(1);
  say(`${label} ...`);
  const heartbeat = setInterval(
    () => say(`${label} ... still at it after ${Math.round((Date.now() - from) / 1000)} s`),
    HEARTBEAT_MS,
  );
  try {
    const result = await work();
    say(`${label}: ${done} in ${seconds()} s`);
    return result;
  } catch (error) {
    say(`${label}: failed after ${seconds()} s`);
    throw error;
  } finally {
    clearInterval(heartbeat);
  }
}

/** A command that failed: the message is for the person, with the end of what it printed. */
export class CommandError extends Error {}

/**
 * Runs a command without standard input, its output appended to `log`.
 * @param {readonly string[]} command @param {{log: string, cwd?: string, env?: NodeJS.ProcessEnv}} options
 * @returns {Promise<void>} rejects with a CommandError
 */
export async function runLogged(command, { log, cwd, env }) {
  await mkdir(path.dirname(log), { recursive: true });
  const line = `$ ${command.join(' ')}`;
  await appendFile(log, `${line}\n`);
  const output = await open(log, 'a');
  const [file = '', ...args] = command;
  const outcome = await new Promise((resolve) => {
    const child = spawn(file, args, { cwd, env: env ?? process.env, stdio: ['ignore', output.fd, output.fd] });
    child.on('error', (error) => resolve(`could not be started: ${error.message}`));
    child.on('close', (code, signal) => resolve(code === 0 ? '' : signal ? `was ended by ${signal}` : `exited with ${code}`));
  });
  await output.close();
  if (outcome === '') return;
  const text = await readFile(log, 'utf8');
  const tail = text.slice(text.lastIndexOf(line)).trimEnd().split('\n').slice(1).slice(-TAIL_LINES);
  throw new CommandError(
    `${command.slice(0, 3).join(' ')} ${outcome}; the end of ${log}:\n${tail.map((line) => `  | ${line}`).join('\n')}`,
  );
}
