import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { addUpParts, totalOf } from '../../bench/density/smaps-parts.ts';

const mapping = (path: string, pss: number, dirty: number) =>
  `7f00-7f10 r-xp 00000000 fe:00 12   ${path}\nSize: 64 kB\nPss:   ${pss} kB\nPss_Dirty: 1 kB\nPrivate_Dirty: ${dirty} kB\n`;

describe('the memory of a process by its use', () => {
  it('is added up by what is mapped', () => {
    const parts = addUpParts(
      [
        mapping('/usr/lib/berth/node', 100, 1),
        mapping('/usr/lib/berth/berth.node', 20, 2),
        mapping('/usr/lib/libc.so.6', 30, 3),
        mapping('/memfd:log (deleted)', 40, 4),
        mapping('[heap]', 50, 5),
        mapping('', 60, 6),
      ].join(''),
    );
    assert.deepEqual(parts, {
      logs: { pss: 40, privateDirty: 4 },
      addon: { pss: 20, privateDirty: 2 },
      binary: { pss: 100, privateDirty: 1 },
      shared: { pss: 30, privateDirty: 3 },
      heap: { pss: 110, privateDirty: 11 },
    });
    assert.deepEqual(totalOf(parts), { pss: 300, privateDirty: 21 });
  });

  it('is all that the kernel counts', () => {
    const total = totalOf(addUpParts(readFileSync('/proc/self/smaps', 'utf8')));
    const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8');
    const pss = Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1]);
    // Each mapping is rounded down, and this process goes on meanwhile.
    assert.ok(Math.abs(total.pss - pss) < 0.1 * pss, `${total.pss} of ${pss}`);
  });
});
