// `npm run check`: types, lint and format, and the architecture. Every part runs; the first failure does not hide the next.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSources } from './architecture/files.ts';
import { checkArchitecture } from './architecture/rules.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const checks: ReadonlyArray<readonly [string, () => Promise<boolean>]> = [
  ['types', () => run('node_modules/typescript/bin/tsc', ['-p', '.'])],
  ['lint and format', () => run('node_modules/@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '.'])],
  ['architecture', checkSources],
];

let failed = 0;
for (const [name, check] of checks) {
  const startedAt = performance.now();
  const good = await check();
  if (!good) failed++;
  console.log(`${good ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
}
process.exitCode = failed === 0 ? 0 : 1;

async function checkSources(): Promise<boolean> {
  const violations = checkArchitecture(await readSources(root));
  for (const { path, line, rule, text } of violations) console.log(`${path}${line ? `:${line}` : ''} [${rule}] ${text}`);
  return violations.length === 0;
}

function run(script: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'inherit' });
  return new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(`${script}: ${error.message}; run \`npm install\``);
      resolve(false);
    });
    child.on('exit', (code) => resolve(code === 0));
  });
}
