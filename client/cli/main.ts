// Entry of the CLI: finds the verb, parses its options, runs it, and ends with its status.
import { isErrno } from '../../agent/errors.ts';
import { EXIT_BERTH } from '../exit-status.ts';
import { parseArguments } from './arguments.ts';
import { errorLine, reportError } from './failure.ts';
import { writeText } from './fd-output.ts';
import { HELP_OPTION, helpPage, type Verb, verbList } from './verb.ts';

/** Loaded one at a time: `berth ps` has no use for the VM launcher. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  run: async () => (await import('./run.ts')).run,
  exec: async () => (await import('./exec.ts')).exec,
  attach: async () => (await import('./attach.ts')).attach,
  logs: async () => (await import('./logs.ts')).logs,
  wait: async () => (await import('./wait.ts')).wait,
  ps: async () => (await import('./ps.ts')).ps,
  kill: async () => (await import('./kill.ts')).kill,
  stats: async () => (await import('./stats.ts')).stats,
  rm: async () => (await import('./rm.ts')).rm,
  events: async () => (await import('./events.ts')).events,
  top: async () => (await import('./top.ts')).top,
  'port-forward': async () => (await import('./port-forward.ts')).portForward,
  cp: async () => (await import('./cp.ts')).cp,
  doctor: async () => (await import('./doctor.ts')).doctor,
  'agent upgrade': async () => (await import('./agent-upgrade.ts')).agentUpgrade,
  'vm start': async () => (await import('./vm-start.ts')).vmStart,
  'vm stop': async () => (await import('./vm-stop.ts')).vmStop,
  'vm ls': async () => (await import('./vm-ls.ts')).vmLs,
};

/** First words of verbs that have two. */
const GROUPS: readonly string[] = ['vm', 'agent'];

/** Not in the list: berth calls it itself. */
const HIDDEN: typeof VERBS = { reap: async () => (await import('./reap.ts')).reap };

async function main(argv: readonly string[]): Promise<number> {
  const [first = '', second = ''] = argv;
  if (first === '' || first === '--help' || first === '-h' || first === 'help') return await listVerbs(second);
  if (first === '--version') return await show(`berth ${(await import('../version.ts')).version}\n`);
  if (GROUPS.includes(first) && (second === '' || second.startsWith('-'))) return await listVerbs('');
  const words = GROUPS.includes(first) ? 2 : 1;
  const name = argv.slice(0, words).join(' ');
  const load = find(VERBS, name) ?? find(HIDDEN, name);
  if (load === undefined) {
    await writeText(2, `berth: '${name}' is not a berth verb; \`berth --help\` lists them\n`);
    return EXIT_BERTH;
  }
  return await runVerb(await load(), argv.slice(words));
}

/** `toString` and its like are no verbs. */
function find(verbs: typeof VERBS, name: string): (() => Promise<Verb>) | undefined {
  return Object.hasOwn(verbs, name) ? verbs[name] : undefined;
}

async function runVerb(verb: Verb, argv: readonly string[]): Promise<number> {
  let args: ReturnType<typeof parseArguments>;
  try {
    args = parseArguments(argv, { ...verb.options, ...HELP_OPTION }, verb.commandFollows ?? false);
  } catch (error) {
    await writeText(2, `berth ${verb.name}: ${errorLine(error)}; \`berth ${verb.name} --help\` lists the options\n`);
    return EXIT_BERTH;
  }
  if (args.flag('help')) return await show(helpPage(verb));
  return await verb.run(args);
}

async function listVerbs(name: string): Promise<number> {
  const load = find(VERBS, name);
  if (load !== undefined) return await show(helpPage(await load()));
  return await show(verbList(await Promise.all(Object.values(VERBS).map((verb) => verb()))));
}

async function show(text: string): Promise<number> {
  await writeText(1, text);
  return 0;
}

const status = await main(process.argv.slice(2)).catch((error: unknown) =>
  // A reader such as `head` has gone: end as a program that SIGPIPE killed.
  isErrno(error, 'EPIPE') ? 141 : reportError(error, EXIT_BERTH),
);
// Whatever still has the loop alive (a read of stdin, a socket) is of no use any more.
process.exit(status);
