// Bugs that would lose or repeat bytes when the agent is killed, planted in a copy of the code that keeps and adopts streams: the simulation
// must catch each of them. One whose text is no longer found fails too, so the list stays true.
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AdoptCore } from './adopt-model.ts';
import { simulateDeaths } from './adopt-simulation.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const MAX_SEEDS = 120;

interface Planted {
  readonly title: string;
  /** Below agent/process. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const PLANTED: readonly Planted[] = [
  {
    title: 'the new lap of a ring is noted only when it has begun',
    file: 'stream/memory-ring.ts',
    from: 'this.#slot?.write(LAP_NOTE, [2n * this.#lap + 1n]);',
    to: '',
  },
  {
    title: 'the position goes back before the new lap is noted',
    file: 'stream/memory-ring.ts',
    from: 'this.#slot?.write(LAP_NOTE, [2n * this.#lap + 1n]);',
    to: 'native().rewind(this.#open());\n    this.#slot?.write(LAP_NOTE, [2n * this.#lap + 1n]);',
  },
  {
    title: 'an acknowledgement is not noted',
    file: 'stream/output-log.ts',
    from: 'this.#settle();\n    this.#tellConsumed();',
    to: 'this.#tellConsumed();',
  },
  {
    title: 'what was dropped is not noted',
    file: 'stream/kernel-log.ts',
    from: 'this.#slot?.write(RECORD_NOTE, [start, acked, dropped,',
    to: 'this.#slot?.write(RECORD_NOTE, [start, acked, 0n,',
  },
  {
    title: 'the end that was told is forgotten',
    file: 'stream/kernel-log.ts',
    from: 'BigInt(ENDINGS.indexOf(ending))',
    to: '0n',
  },
  {
    title: 'input that was accepted counts as delivered',
    file: 'stream/kernel-stdin.ts',
    from: 'moved: native().filePosition(file),',
    to: 'moved: native().fileSize(file),',
  },
  {
    title: 'input that waits is not given to the process until there is more',
    file: 'stream/stdin-log.ts',
    from: "if (state === 'closed' || this.#moved < this.#written) this.#deliver();",
    to: '',
  },
  {
    title: 'the end of input is not noted',
    file: 'stream/stdin-log.ts',
    from: "this.#store.record?.({ state: 'closed', closedAt: this.#closedAt });",
    to: '',
  },
  {
    title: 'the end mark of a terminal counts as input',
    file: 'stream/stdin-log.ts',
    from: 'this.#accepted = closedAt ?? written;',
    to: 'this.#accepted = written;',
  },
  {
    title: 'the end mark of a terminal is written once more',
    file: 'stream/stdin-log.ts',
    from: "if (state === 'closed' && this.#written === this.#accepted) this.#writeEndMark();",
    to: "if (state === 'closed') this.#writeEndMark();",
  },
  {
    title: 'the store keeps a writing end, and the process never sees the end of its input',
    file: 'stdio.ts',
    from: "onClosed: () => forgetPart(keeping, 'stdin')",
    to: 'onClosed: () => {}',
  },
  {
    title: 'the files are not in the store before the process runs',
    file: 'stdio-files.ts',
    from: "store.put(keyOfPart(key, 'whole'), [ledger, stdout, stderr, stdin, ends.stdout, ends.stderr]),",
    to: "store.put(keyOfPart(key, 'whole'), [ledger, ...['a', 'b', 'c'].map(() => native().memfdCreate('new')), ends.stdout, ends.stderr]),",
  },
  {
    title: 'a forgotten process stays in the store',
    file: 'stdio.ts',
    from: "if (kept !== undefined) forgetPart(kept.keeping, 'whole');",
    to: '',
  },
];

describe('planted bugs of streams whose agent is killed', function () {
  this.timeout('5m');
  let folder: string;
  let made = 0;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-planted-'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  });
  after(() => rm(folder, { recursive: true }));

  async function coreWith(planted?: Planted): Promise<AdoptCore> {
    const copy = join(folder, String(made++));
    const code = join(copy, 'agent/process');
    await cp(join(ROOT, 'agent/process'), code, { recursive: true });
    await cp(join(ROOT, 'agent/errors.ts'), join(copy, 'agent/errors.ts'));
    // The same door for all, or nobody could die at it.
    await mkdir(join(copy, 'native'));
    const door = pathToFileURL(join(ROOT, 'native/index.ts')).href;
    await writeFile(join(copy, 'native/index.ts'), `export * from ${JSON.stringify(door)};\n`);
    if (planted !== undefined) {
      const file = join(code, planted.file);
      const source = await readFile(file, 'utf8');
      assert.equal(source.split(planted.from).length, 2, `${planted.file} has no such text, or several times`);
      await writeFile(
        file,
        source.replace(planted.from, () => planted.to),
      );
    }
    const load = (name: string) => import(pathToFileURL(join(code, name)).href);
    const modules = [
      'stdio.ts',
      'adopt-stdio.ts',
      'stdio-store.ts',
      'stream/budget.ts',
      'stream/byte-log.ts',
      'stream/pulled-output.ts',
    ];
    return Object.assign({}, ...(await Promise.all(modules.map(load)))) as AdoptCore;
  }

  async function caught(core: AdoptCore): Promise<string | undefined> {
    try {
      for (let seed = 1; seed <= MAX_SEEDS; seed++) await simulateDeaths(core, seed);
    } catch (error) {
      return (error as Error).message;
    }
    return undefined;
  }

  it('are not found where there are none', async () => {
    const core = await coreWith();
    for (let seed = 1; seed <= 10; seed++) await simulateDeaths(core, seed);
  });

  for (const planted of PLANTED) {
    it(`are caught: ${planted.title}`, async () => {
      assert.match((await caught(await coreWith(planted))) ?? 'nothing was noticed', /^seed \d+: /);
    });
  }
});
