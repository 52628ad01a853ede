// Bugs seen in other agents, and likely ones of our own, planted in a copy of the stream core: the simulation must catch each of them.
// A mutant whose text is no longer found fails too, so the list stays true.
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Core } from './schedule.ts';
import { simulateDrain, simulateOutput } from './simulation.ts';
import { simulateStdin } from './stdin-simulation.ts';

const AGENT = join(import.meta.dirname, '../../../../agent');
const MAX_SEEDS = 300;

interface Mutant {
  readonly title: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const MUTANTS: readonly Mutant[] = [
  {
    title: 'one slow reader holds up all the others',
    file: 'output-log.ts',
    from: 'const room = this.#askFor(',
    to: 'if ([...this.#readers].some((reader) => reader.offset + 2000n < this.end)) { this.#holdBack(); return; }\n      const room = this.#askFor(',
  },
  {
    title: 'the queue of output has no bound',
    file: 'byte-log.ts',
    from: 'return Math.max(0, limit - Number(this.#end - this.#acked));',
    to: 'return limit;',
  },
  {
    title: 'output that went unread is dropped without a word',
    file: 'byte-log.ts',
    from: "this.#forgetBelow(mode === 'latest' || floor < this.#acked ? floor : this.#acked);",
    to: 'this.#forgetBelow(this.#end - BigInt(limit >> 1));',
  },
  {
    title: 'a reader that fell behind goes on without a gap',
    file: 'cursor.ts',
    from: "return { kind: 'gap', from, to: log.start };",
    to: '',
  },
  {
    title: 'the pipe is closed on the exit of the leader, and its child gets SIGPIPE',
    file: 'output-log.ts',
    from: 'this.#exited = true;',
    to: 'this.#exited = true;\n    this.#store.closeSource();',
  },
  {
    title: 'the end of output is told a fixed time after the exit, whatever still comes',
    file: 'output-log.ts',
    from: 'if (this.#heldBack || this.end !== before) this.#armDrain();',
    to: 'if (false) this.#armDrain();',
  },
  {
    title: 'the end of output waits for a background child for ever',
    file: 'output-log.ts',
    from: "else this.#finish('drained');",
    to: '',
  },
  {
    title: 'what comes after the drain is not given',
    file: 'output-log.ts',
    from: "if (reason === 'closed') this.#source.close();",
    to: 'this.#source.close();',
  },
  {
    title: 'given counts as acknowledged: a broken connection loses output',
    file: 'output-reader.ts',
    from: 'this.#log.readAt(step.offset, data);',
    to: 'this.#log.readAt(step.offset, data);\n    this.ack(this.offset);',
  },
  {
    title: 'an answer that got lost is not given again',
    file: 'pulled-output.ts',
    from: 'if (!arrived) this.#lost',
    to: 'if (false) this.#lost',
  },
  {
    title: 'an answer that got lost takes those after it along: bytes come twice',
    file: 'pulled-output.ts',
    from: 'if (!arrived) this.#lost = [...this.#lost, range].sort((a, b) => (a.from < b.from ? -1 : 1));',
    to: 'if (!arrived) this.#reader.seek(range.from);',
  },
  {
    title: 'a producer that was held back is never let go on',
    file: 'output-log.ts',
    from: 'this.#heldBack = false;\n    this.#source.resume();',
    to: '',
  },
  {
    title: 'what is let go of is not given back to the budget',
    file: 'output-log.ts',
    from: 'this.#budget.give(Number(freed));',
    to: '',
  },
  {
    title: 'under pressure bytes of a lossless log go that nobody has acknowledged',
    file: 'byte-log.ts',
    from: "if (mode !== 'lossless') return this.held;",
    to: 'if (mode) return this.held;',
  },
  {
    title: 'memory that is short is taken for the end of output',
    file: 'output-log.ts',
    from: "      return 'empty';\n    }\n  }\n\n  /** Some of",
    to: "      return 'end';\n    }\n  }\n\n  /** Some of",
  },
  {
    title: 'the old primary reader still acknowledges for the new one',
    file: 'output-log.ts',
    from: 'if (this.#primary !== reader || this.#closed) return;',
    to: 'if (this.#closed) return;',
  },
  {
    title: 'a full terminal or pipe is a fatal error of stdin',
    file: 'stdin-log.ts',
    from: "if (moved === 'gone') {",
    to: "if (moved === 'gone' || moved === 'full') {",
  },
  {
    title: 'input that was sent again after a lost reply is given twice',
    file: 'stdin-log.ts',
    from: 'write.data = write.data.subarray(known < BigInt(write.data.length) ? Number(known) : write.data.length);',
    to: '',
  },
  {
    title: 'input has no bound',
    file: 'stdin-log.ts',
    from: 'const part = write.data.subarray(0, room);',
    to: 'const part = write.data;',
  },
  {
    title: 'a writer that waits for room is not woken',
    file: 'stdin-log.ts',
    from: 'queueMicrotask(() => this.#acceptWaiting());',
    to: '{}',
  },
  {
    title: 'input ends before what was accepted is delivered',
    file: 'stdin-log.ts',
    from: "if (!full && this.#state === 'closed') this.#release();",
    to: "if (this.#state === 'closed') this.#release();",
  },
];

describe('planted bugs of streams', function () {
  this.timeout('5m');
  let folder: string;
  let copies = 0;
  before(async () => {
    // Below the project, so that its package.json says what a module is.
    folder = await mkdtemp(join(tmpdir(), 'berth-mutants-'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  });
  after(() => rm(folder, { recursive: true }));

  async function coreWith(mutant?: Mutant): Promise<Core> {
    const copy = join(folder, String(copies++));
    await cp(join(AGENT, 'errors.ts'), join(copy, 'errors.ts'));
    const modules = join(copy, 'process/stream');
    await cp(join(AGENT, 'process/stream'), modules, { recursive: true });
    if (mutant !== undefined) {
      const file = join(modules, mutant.file);
      const source = await readFile(file, 'utf8');
      assert.equal(source.split(mutant.from).length, 2, `${mutant.file} has no such line, or several`);
      await writeFile(
        file,
        source.replace(mutant.from, () => mutant.to),
      );
    }
    const load = (name: string) => import(pathToFileURL(join(modules, name)).href);
    const [output, pulled, stdin, budget] = await Promise.all(
      ['output-log.ts', 'pulled-output.ts', 'stdin-log.ts', 'budget.ts'].map(load),
    );
    return {
      OutputLog: output.OutputLog,
      PulledOutput: pulled.PulledOutput,
      StdinLog: stdin.StdinLog,
      Budget: budget.Budget,
    };
  }

  /** What broke first, with its seed. */
  async function caught(core: Core, file: string): Promise<string | undefined> {
    try {
      for (let seed = 1; seed <= MAX_SEEDS; seed++) {
        if (file === 'stdin-log.ts') await simulateStdin(core, seed);
        else {
          simulateDrain(core, seed);
          simulateOutput(core, seed);
        }
      }
    } catch (error) {
      return (error as Error).message;
    }
    return undefined;
  }

  it('are not found where there are none', async () => {
    const core = await coreWith();
    for (let seed = 1; seed <= 20; seed++) simulateOutput(core, seed);
  });

  for (const mutant of MUTANTS) {
    it(`are caught: ${mutant.title}`, async () => {
      const message = await caught(await coreWith(mutant), mutant.file);
      assert.match(message ?? 'nothing was noticed', /^seed \d+: /);
    });
  }
});
