import assert from 'node:assert/strict';
import { AgentError, describeError, errnoOf, fromErrno, hasCode, isAgentError, isErrno } from '../../agent/errors.ts';

const system = (code: string, message = `${code}: it failed`) =>
  Object.assign(new Error(message), { code, errno: -1, syscall: 'open' });

describe('AgentError', () => {
  it('carries code, message, cause and fields', () => {
    const cause = new Error('inner');
    const error = new AgentError('not_found', 'container abc', { cause, fields: { container: 'abc', limit: 1n } });
    assert.ok(error instanceof Error);
    assert.deepEqual([error.name, error.code, error.message, error.cause], ['AgentError', 'not_found', 'container abc', cause]);
    assert.deepEqual(error.fields, { container: 'abc', limit: 1n });
  });

  it('has no cause and no fields unless given', () => {
    const error = new AgentError('internal', 'x');
    assert.ok(!('cause' in error));
    assert.deepEqual(error.fields, {});
  });

  it('is known by its brand, also across copies of the module', async () => {
    const copy = (await import(`../../agent/errors.ts?copy=${1}`)) as typeof import('../../agent/errors.ts');
    assert.notEqual(copy.AgentError, AgentError);
    assert.ok(isAgentError(new copy.AgentError('internal', 'x')));
  });

  for (const value of [new Error('x'), { code: 'internal' }, 'internal', null, undefined, 5]) {
    it(`is not ${value instanceof Error ? 'a plain Error' : JSON.stringify(value)}`, () =>
      assert.equal(isAgentError(value), false));
  }

  it('is tested by code', () => {
    const error = new AgentError('cancelled', 'x');
    assert.deepEqual(
      [hasCode(error, 'cancelled'), hasCode(error, 'internal'), hasCode(system('cancelled'), 'cancelled')],
      [true, false, false],
    );
  });
});

describe('the errno of an error', () => {
  it('is the name in its code', () => assert.equal(errnoOf(system('E2BIG')), 'E2BIG'));

  for (const value of [new AgentError('not_found', 'x'), system('ERR_INVALID_ARG'), { code: 2 }, {}, null, 'ENOENT']) {
    it(`is undefined for ${value instanceof Error ? value.constructor.name : JSON.stringify(value)}`, () => {
      assert.equal(errnoOf(value), undefined);
    });
  }

  it('is compared with any of several', () => {
    assert.equal(isErrno(system('EAGAIN'), 'EINTR', 'EAGAIN'), true);
    assert.equal(isErrno(system('EAGAIN'), 'EINTR'), false);
    assert.equal(isErrno(undefined, 'EINTR'), false);
  });
});

describe('a system error turned into ours', () => {
  for (const [errno, code] of [
    ['ENOENT', 'not_found'],
    ['ESRCH', 'not_found'],
    ['EEXIST', 'already_exists'],
    ['EINVAL', 'invalid_argument'],
    ['ENAMETOOLONG', 'invalid_argument'],
    ['EACCES', 'permission_denied'],
    ['EPERM', 'permission_denied'],
    ['ETIMEDOUT', 'deadline_exceeded'],
    ['EMFILE', 'resource_exhausted'],
    ['ENOMEM', 'resource_exhausted'],
    ['ENOSPC', 'resource_exhausted'],
    ['ENOSYS', 'unimplemented'],
    ['ECONNREFUSED', 'unavailable'],
    ['EPIPE', 'unavailable'],
    ['EIO', 'internal'],
    ['ERR_STREAM_DESTROYED', 'internal'],
  ] as const) {
    it(`has the code ${code} for ${errno}`, () => assert.equal(fromErrno(system(errno), 'open x').code, code));
  }

  it('says what was being done, and keeps cause and fields', () => {
    const cause = system('ENOENT', 'ENOENT: no such file');
    const error = fromErrno(cause, 'mount /proc', { path: '/proc' });
    assert.deepEqual([error.message, error.cause, error.fields], ['mount /proc: ENOENT: no such file', cause, { path: '/proc' }]);
  });

  it('takes what is not an Error at all', () => assert.equal(fromErrno('odd', 'x').message, 'x: odd'));

  it('leaves one of ours as it is', () => {
    const ours = new AgentError('cancelled', 'x');
    assert.equal(fromErrno(ours, 'mount'), ours);
  });
});

describe('the description of an error', () => {
  it('joins the chain, outermost first', () => {
    const error = new AgentError('internal', 'container abc', { cause: new Error('start', { cause: new Error('no memory') }) });
    assert.equal(describeError(error), 'container abc: start: no memory');
  });

  it('does not say twice what an outer message holds already', () => {
    assert.equal(describeError(fromErrno(system('EIO', 'EIO: i/o error'), 'read x')), 'read x: EIO: i/o error');
  });

  it('ends in a chain that is a ring', () => {
    const error = new Error('a');
    error.cause = new Error('b', { cause: error });
    assert.equal(describeError(error), 'a: b');
  });

  it('takes causes that are not errors', () => assert.equal(describeError(new Error('a', { cause: 'b' })), 'a: b'));
});
