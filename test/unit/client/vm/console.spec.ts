import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { followConsole, LineCutter, parseRecord } from '../../../../client/vm/console.ts';

function cut(pieces: readonly Buffer[]): string[] {
  const lines: string[] = [];
  const cutter = new LineCutter((line) => lines.push(line));
  for (const piece of pieces) cutter.push(piece);
  cutter.end();
  return lines;
}

describe("the guest's console", () => {
  it('comes as the same lines whatever the pieces it comes in', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.array(fc.nat(64)), (texts, sizes) => {
        const lines = texts.map((text) => text.replace(/[\r\n]/g, '')).filter((text) => text !== '');
        const bytes = Buffer.from(lines.map((line) => `${line}\r\n`).join(''));
        const pieces: Buffer[] = [];
        let at = 0;
        for (const size of sizes) {
          pieces.push(bytes.subarray(at, at + size));
          at += size;
        }
        pieces.push(bytes.subarray(at));
        assert.deepEqual(cut(pieces), lines);
      }),
    );
  });

  it('gives a line without end in bounded pieces', () => {
    const lines = cut([Buffer.alloc(200 << 10, 'x')]);
    assert.deepEqual(
      lines.map((line) => line.length),
      [65536, 65536, 65536, 8192],
    );
  });

  it("tells the agent's records from the kernel's text and from broken ones", () => {
    assert.deepEqual(parseRecord('{"msg":"agent listening"}'), { msg: 'agent listening' });
    for (const line of ['[    1.2] {"a":1}', '{"msg":"agent li[    2.0] oops', '']) assert.equal(parseRecord(line), undefined);
  });

  it('is kept in its file whole, and its last 200 lines in memory', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'console-'));
    try {
      const source = new PassThrough();
      const seen: string[] = [];
      const records: unknown[] = [];
      const console = followConsole(source, join(folder, 'log'), {
        onLine: (line) => seen.push(line),
        onLog: (record) => records.push(record),
      });
      const text = Array.from({ length: 300 }, (_, at) => `{"line":${at}}\r\n`).join('');
      source.end(text);
      await console.done;
      assert.equal(await readFile(join(folder, 'log'), 'utf8'), text);
      assert.equal(seen.length, 300);
      assert.deepEqual(records[299], { line: 299 });
      assert.deepEqual([console.tail().length, console.tail(1)], [200, ['{"line":299}']]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('is read on when its file cannot be written, so that the guest is not held up', async () => {
    const source = new PassThrough();
    const seen: string[] = [];
    const console = followConsole(source, '/dev/full', { onLine: (line) => seen.push(line) });
    source.write('one\n');
    source.end('two\n');
    await console.done;
    assert.deepEqual(
      seen.filter((line) => !line.startsWith('berth:')),
      ['one', 'two'],
    );
    assert.match(seen.join('\n'), /no longer written to \/dev\/full: ENOSPC/);
  });
});
