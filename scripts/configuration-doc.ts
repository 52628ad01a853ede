// Writes docs/configuration.md from the table of settings; a test compares the two, so neither can drift.
// `node scripts/configuration-doc.ts` after a change of the table.
import { writeFile } from 'node:fs/promises';
import { LONGEST_MS } from '../agent/config/kinds.ts';
import type { Setting } from '../agent/config/setting.ts';
import { type ConfigName, settings } from '../agent/config/settings.ts';

export const DOCUMENT = new URL('../docs/configuration.md', import.meta.url);

const INTRODUCTION = `# Configuration of the agent

The agent takes its settings from the kernel command line, a TOML file and the environment, under the names Kata Containers
gives them. Berth's own settings begin with \`berth\` or \`BERTH_\`. This page is written by \`node scripts/configuration-doc.ts\`
from the table in \`agent/config/\`; a test fails when the two differ.

## Which source counts

1. \`kata-agent --config FILE\`: the TOML file, then the environment over it.
2. \`agent.config_file=FILE\` on the kernel command line: the TOML file and nothing else. All other parameters and the environment are
   ignored.
3. Otherwise the kernel command line (\`/proc/cmdline\` must be readable), then the environment over it.

Where a source names a setting twice, the last one counts.

## How values are read

- A value that can't be read ends the start, with an error that names the source, the setting, the value and the rule.
- Settings marked *no effect* are read and checked like the others, so that a mistake in them is found; the log tells of each that was
  changed.
- A value that breaks its guard is not kept: the setting stays as it was, and the log says so.
- Unknown names are ignored; those that begin with \`agent.\` or \`berth.\`, and unknown TOML keys, are noted in the log.
- Double quotes work as in the kernel: \`agent.no_proxy="a b"\` and \`"agent.no_proxy=a b"\` are the same.
- A bare word (\`agent.debug_console\`) is recognised only where the table says so; \`agent.debug_console=true\` is not.
- Booleans on the command line and in the environment: \`true\`, \`false\`, an unsigned integer (0 is false); anything else is false. The
  settings of the memory agent are strict: only \`true\` and \`false\`.
- Durations are whole seconds; in TOML tables, \`{ secs = 3, nanos = 0 }\`. Longer than ${Math.floor(LONGEST_MS / 86_400_000)} days is taken as that.
- The settings of the memory agent are read from the command line only behind \`agent.mem_agent_enable\`; without a value the memory
  agent decides.
- An environment variable that is set to nothing counts as not set.

## Settings
`;

const OUTRO = `
## What PID 1 tells the agent

| variable | meaning |
|---|---|
| \`BERTH_KEEPER_FD\` | the socket to PID 1, which holds exit records |
| \`BERTH_INIT_UPTIME_MS\` | CLOCK_BOOTTIME in milliseconds when PID 1 started |

These are facts of the start, not settings; no configuration file replaces them.
`;

/** The whole page. */
export function renderConfiguration(): string {
  const rows = settings.map(([name, setting]) => row(name, setting));
  const head = [
    '| name in the code | command line | TOML key | environment | value | default | effect |',
    '|---|---|---|---|---|---|---|',
  ];
  return `${INTRODUCTION}\n${[...head, ...rows].join('\n')}\n${OUTRO}`;
}

function row(name: ConfigName, setting: Setting<unknown>): string {
  const cells = [
    code(name),
    parameter(setting),
    code(setting.toml),
    code(setting.env),
    value(setting),
    fallback(setting),
    effect(setting),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function parameter(setting: Setting<unknown>): string {
  if (setting.param === undefined) return '';
  const forms = setting.bareWord === 'only' ? [''] : setting.bareWord === 'also' ? ['', '='] : ['='];
  return forms.map((form) => code(`${setting.param}${form}`)).join(' or ');
}

function value(setting: Setting<unknown>): string {
  return setting.guard ? `${setting.kind.rule}; guard: ${setting.guard.rule}` : setting.kind.rule;
}

function fallback({ fallback: given, kind }: Setting<unknown>): string {
  if (given === undefined) return 'not set';
  if (given === '') return 'empty';
  return code(/seconds/.test(kind.rule) ? `${Number(given) / 1000} s` : String(given));
}

function effect(setting: Setting<unknown>): string {
  return setting.unused === undefined ? setting.effect : `${setting.effect} *(no effect: ${setting.unused})*`;
}

function code(text: string | undefined): string {
  return text === undefined ? '' : `\`${text}\``;
}

if (import.meta.main) await writeFile(DOCUMENT, renderConfiguration());
