import assert from 'node:assert/strict';
import {
  type Decoded,
  decodeJournal,
  encodeHeader,
  encodeRecord,
  type JournalRecord,
  replay,
} from '../../../agent/keeper/journal-format.ts';
import { judge } from '../../../agent/keeper/journal-load.ts';

const OPERATIONS = 200;
const ZEROS = Buffer.alloc(4096);

describe('the bytes of the journal', () => {
  const records = Array.from({ length: OPERATIONS }, (_, n): JournalRecord => {
    const id = `container-${n % 40}/exec`;
    return n % 5 === 4
      ? { kind: 'process', id }
      : { kind: 'process', id, value: n % 10 === 0 ? { pid: n, start: BigInt(n) << 60n } : { pid: n } };
  });
  const ends: number[] = [];
  const journal = (() => {
    const parts = [encodeHeader(7n), ...records.map(encodeRecord)];
    let at = 0;
    for (const part of parts) {
      at += part.length;
      ends.push(at);
    }
    return Buffer.concat([...parts, ZEROS]);
  })();
  const used = journal.length - ZEROS.length;

  it('come back as what was written, 64-bit numbers and odd strings included', () => {
    const odd = [
      { kind: 'x', id: '~1', value: { text: '~5', twice: '~~', big: -(2n ** 63n), line: '\n\0é', list: [1n, null, true] } },
    ];
    const decoded = read(Buffer.concat([encodeHeader(1n), ...odd.map(encodeRecord)]));
    assert.deepEqual(decoded.records, odd);
    assert.deepEqual(read(journal).records, records);
    assert.equal(read(journal).epoch, 7n);
    assert.equal(read(journal).end, used);
  });

  it('hold no more than the newest word on each thing when replayed', () => {
    const state = replay(records);
    assert.equal(state.size, 32);
    assert.deepEqual(state.get('process\0container-0/exec')?.value, { pid: 160, start: 160n << 60n });
    assert.equal(state.has('process\0container-4/exec'), false);
  });

  it('give every whole record of whatever a killed writer has left', () => {
    let tried = 0;
    for (let length = ends[0]!; length <= used; length++, tried++) {
      const left = Buffer.concat([journal.subarray(0, length), ZEROS]);
      const whole = ends.filter((end) => end <= length).length - 1;
      const decoded = read(left);
      assert.equal(decoded.state, 'whole', `cut at ${length}`);
      // What lacks only its last newline is there in full.
      assert.ok(decoded.records.length === whole || decoded.records.length === whole + 1, `cut at ${length}`);
      assert.deepEqual(decoded.records.at(-1), records[decoded.records.length - 1]);
    }
    for (let length = 0; length < ends[0]!; length++, tried++) recovers(journal.subarray(0, length));
    console.log(`      ${tried} prefixes`);
  });

  it('never pass for whole with a byte changed, unless what was acknowledged is whole', function () {
    this.timeout(120_000);
    const bytes = Buffer.from(journal);
    let tried = 0;
    let kept = 0;
    for (let at = 0; at < used; at++) {
      const right = bytes[at]!;
      for (let bit = 0; bit < 8; bit++, tried++) {
        bytes[at] = right ^ (1 << bit);
        if (recovers(bytes) === 'recovered') {
          kept++;
          assert.deepEqual(read(bytes).records, records, `byte ${at} bit ${bit}`);
        }
      }
      // Of the values further away: none and all, neighbours, and what means something in a text.
      for (const wrong of new Set([0x00, 0xff, right - 1, right + 1, 0x0a, 0x22, 0x30, 0x7d])) {
        if (right === (wrong & 0xff)) continue;
        bytes[at] = wrong;
        tried++;
        if (recovers(bytes) === 'recovered') assert.deepEqual(read(bytes).records, records, `byte ${at} ${wrong}`);
      }
      bytes[at] = right;
    }
    console.log(`      ${tried} corruptions, ${kept} of them harmless`);
    assert.ok(tried >= 100_000);
  });

  it('keep the records on both sides of a damaged one, for whoever looks for what exists', () => {
    const bytes = Buffer.from(journal);
    bytes[ends[50]! + 12]! ^= 1;
    const decoded = read(bytes);
    assert.equal(decoded.state, 'damaged');
    assert.deepEqual(decoded.records, [...records.slice(0, 50), ...records.slice(51)]);
    assert.match(decoded.damage ?? '', new RegExp(`byte ${ends[50]}`));
  });

  it('of a newer schema are refused, and by name', () => {
    assert.deepEqual(decodeJournal(encodeHeader(3n, 2)), { state: 'newer', schema: 2 });
    const judged = judge([decodeJournal(encodeHeader(3n, 2)), { state: 'blank' }]);
    assert.deepEqual(judged?.records, []);
    assert.equal(judged?.degraded, 'the journal has schema 2, and this agent reads up to 1');
  });

  it('count in the file of the higher epoch, and in the other while a new one is being written', () => {
    const one = { kind: 'a', id: '1', value: 1 };
    const two = { kind: 'a', id: '1', value: 2 };
    const old = Buffer.concat([encodeHeader(4n), encodeRecord(one)]);
    const fresh = Buffer.concat([encodeHeader(5n), encodeRecord(two)]);
    const unfinished = Buffer.concat([Buffer.alloc(32), encodeRecord(two)]);
    assert.deepEqual(judge([decodeJournal(old), decodeJournal(fresh)]), { epoch: 5n, records: [two], degraded: undefined });
    assert.deepEqual(judge([decodeJournal(old), decodeJournal(unfinished)]), { epoch: 4n, records: [one], degraded: undefined });
    assert.equal(judge([{ state: 'blank' }, { state: 'blank' }]), undefined);
  });
});

function read(bytes: Buffer): Extract<Decoded, { epoch: bigint }> {
  const decoded = decodeJournal(bytes);
  assert.ok('epoch' in decoded, decoded.state);
  return decoded;
}

/** As the agent does at its start. */
function recovers(bytes: Buffer): 'recovered' | 'quarantined' | 'nothing' {
  const judged = judge([decodeJournal(bytes), { state: 'blank' }]);
  if (judged === undefined) return 'nothing';
  return judged.degraded === undefined ? 'recovered' : 'quarantined';
}
