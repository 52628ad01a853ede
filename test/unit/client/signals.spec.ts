import assert from 'node:assert/strict';
import { signalName, signalNumber } from '../../../client/signals.ts';

describe('signal names', () => {
  const spellings: [string, number][] = [
    ['9', 9],
    ['KILL', 9],
    ['SIGKILL', 9],
    ['sigterm', 15],
    ['0', 0],
    ['WINCH', 28],
    ['RTMIN', 34],
    ['RTMIN+3', 37],
    ['SIGRTMAX-1', 63],
    ['64', 64],
  ];
  for (const [text, number] of spellings) {
    it(`reads ${text} as ${number}`, () => assert.equal(signalNumber(text), number));
  }

  for (const text of ['', 'NOPE', '65', '-1', 'RTMIN+31', 'RTMAX+1', '9.5', 'SIG', 'toString']) {
    it(`refuses '${text}'`, () =>
      assert.throws(() => signalNumber(text), { code: 'invalid_argument', fields: { field: 'signal' } }));
  }

  it('names numbers back', () => {
    assert.deepEqual([9, 37, 33].map(signalName), ['SIGKILL', 'SIGRTMIN+3', 'signal 33']);
  });
});
