import assert from 'node:assert/strict';
import { renderTable } from '../../../../client/cli/table.ts';

describe('tables', () => {
  it('pad each column to its widest cell and leave nothing at the line end', () => {
    const text = renderTable(
      [{ title: 'NAME' }, { title: 'N', align: 'right' }, { title: 'NOTE' }],
      [
        ['a', '10', ''],
        ['longer', '9', 'x'],
      ],
    );
    assert.equal(text, 'NAME      N   NOTE\na        10\nlonger    9   x\n');
  });

  it('are only the head without rows', () => assert.equal(renderTable([{ title: 'A' }, { title: 'B' }], []), 'A   B\n'));

  it('let no control character of a guest through', () => {
    assert.equal(renderTable([{ title: 'A' }], [['\u001b[2Jx\n']]), 'A\n?[2Jx?\n');
  });
});
