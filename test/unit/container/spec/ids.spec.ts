import assert from 'node:assert/strict';
import fc from 'fast-check';
import { checkContainerId, checkExecId } from '../../../../agent/container/spec/ids.ts';
import { hasCode } from '../../../../agent/errors.ts';

const GOOD = ['ab', 'a-', '0.', 'A_b.c-9', 'x'.repeat(128), 'a..'];
const BAD = [
  '',
  '.',
  '..',
  '-a',
  '_a',
  '.a',
  'a/b',
  'a/../b',
  '/abs',
  'a b',
  'a\0b',
  'a\n',
  'ab\n',
  'é',
  'aé',
  'a:b',
  'a+b',
  'x'.repeat(129),
  '٣٣',
];

describe('an id', () => {
  for (const id of GOOD) {
    it(`may be ${JSON.stringify(id.slice(0, 20))}`, () => {
      assert.equal(checkContainerId(id), id);
      assert.equal(checkExecId(id), id);
    });
  }

  for (const id of BAD) {
    it(`may not be ${JSON.stringify(id.slice(0, 20))}, and the error names the field`, () => {
      assert.throws(
        () => checkContainerId(id),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'container_id',
      );
      assert.throws(
        () => checkExecId(id),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'exec_id',
      );
    });
  }

  it('has two characters at least for a container, one for an exec', () => {
    assert.throws(
      () => checkContainerId('a'),
      (error) => hasCode(error, 'invalid_argument'),
    );
    assert.equal(checkExecId('a'), 'a');
  });

  it('never gets through with anything that could lead a path elsewhere', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', minLength: 2, maxLength: 40 }), (id) => {
        try {
          checkContainerId(id);
        } catch {
          return;
        }
        assert.match(id, /^[A-Za-z0-9][A-Za-z0-9_.-]{1,127}$/);
        assert.ok(!id.includes('/') && id !== '.' && id !== '..');
      }),
    );
  });

  it('is quoted and cut in the error', () => {
    assert.throws(
      () => checkExecId('\n'.repeat(500)),
      (error) => error instanceof Error && error.message.length < 600 && !error.message.includes('\n'),
    );
  });
});
