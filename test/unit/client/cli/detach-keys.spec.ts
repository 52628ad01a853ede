import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DetachKeys, parseDetachKeys } from '../../../../client/cli/detach-keys.ts';

describe('the keys that leave a session', () => {
  it('are given as docker gives them', () => {
    assert.deepEqual([...parseDetachKeys('ctrl-p,ctrl-q')], [16, 17]);
    assert.deepEqual([...parseDetachKeys('ctrl-@,a,CTRL-],~')], [0, 97, 29, 126]);
    assert.equal(parseDetachKeys('').length, 0);
    for (const wrong of ['ctrl-', 'ctrl-1', 'ab', 'a,', ' ']) {
      assert.throws(() => parseDetachKeys(wrong), { code: 'invalid_argument', fields: { field: 'detach-keys' } }, wrong);
    }
  });

  it('are found wherever the chunks end, and everything before them is passed on', () => {
    const typed = fc.array(fc.constantFrom(1, 2, 3), { maxLength: 30 });
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(1, 2, 3), { minLength: 1, maxLength: 4 }),
        typed,
        fc.array(fc.nat(5)),
        (keys, all, cuts) => {
          const detach = new DetachKeys(Buffer.from(keys));
          const text = Buffer.from(all);
          const at = text.indexOf(Buffer.from(keys));
          const passed: Buffer[] = [];
          let found = false;
          for (let from = 0, turn = 0; from < text.length && !found; turn++) {
            const to = from + 1 + (cuts[turn % Math.max(1, cuts.length)] ?? 0);
            const taken = detach.take(text.subarray(from, to));
            passed.push(taken.pass);
            found = taken.detach;
            from = to;
          }
          assert.equal(found, at >= 0);
          const expected = found ? text.subarray(0, at) : text;
          const got = Buffer.concat(passed);
          // What may still become the sequence is held.
          assert.ok(expected.subarray(0, got.length).equals(got) && expected.length - got.length < keys.length);
          if (found) assert.equal(got.length, expected.length);
        },
      ),
    );
  });

  it('hold a key back only until the next one tells', () => {
    const keys = new DetachKeys(parseDetachKeys('ctrl-p,ctrl-q'));
    assert.deepEqual(keys.take(Buffer.from('a\x10')), { pass: Buffer.from('a'), detach: false });
    assert.deepEqual(keys.take(Buffer.from('\x10b')), { pass: Buffer.from('\x10\x10b'), detach: false });
    assert.deepEqual(keys.take(Buffer.from('\x10\x11rest')), { pass: Buffer.from(''), detach: true });
  });

  it('are none when there are none', () => {
    assert.deepEqual(new DetachKeys(Buffer.alloc(0)).take(Buffer.from('\x10\x11')), {
      pass: Buffer.from('\x10\x11'),
      detach: false,
    });
  });
});
