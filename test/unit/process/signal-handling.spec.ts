import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { handlesSignal, maskHas } from '../../../agent/process/signal-handling.ts';

const status = (blocked: string, ignored: string, caught: string) =>
  `Name:\tx\nSigBlk:\t${blocked}\nSigIgn:\t${ignored}\nSigCgt:\t${caught}\n`;
const none = '0000000000000000';
const term = '0000000000004000';

describe('whether a process handles a signal', () => {
  for (const [title, text, expected] of [
    ['no when no mask has it', status(none, none, none), false],
    ['yes when it is caught', status(none, none, term), true],
    ['yes when it is ignored', status(none, term, none), true],
    ['yes when it is blocked', status(term, none, none), true],
    ['no when only its neighbours are caught', status(none, none, '000000000000a000'), false],
    ['no when the text is something else', 'nonsense', false],
  ] as const) {
    it(`is ${title}`, () => assert.equal(maskHas(text, 15), expected));
  }

  it('reads the highest real-time signal', () => assert.equal(maskHas(status(none, none, '8000000000000000'), 64), true));
  it('sees a handler of this very process', async () => {
    const handler = () => {};
    process.on('SIGURG', handler);
    try {
      assert.equal(await handlesSignal(process.pid, constants.signals.SIGURG), true);
    } finally {
      process.off('SIGURG', handler);
    }
  });
  it('takes a process that is gone for one that does not', async () => assert.equal(await handlesSignal(2 ** 22 + 1, 15), false));
});
