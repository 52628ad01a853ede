// Codes and status numbers.
import assert from 'node:assert/strict';
import { status as grpcStatus } from '@grpc/grpc-js';
import { AgentError, type Code } from '../../../agent/errors.ts';
import { type LogFields, silentLogger } from '../../../agent/log.ts';
import { codeToNumber, errorOf, numberToCode, statusOf } from '../../../agent/rpc/status.ts';

const CODES: readonly Code[] = [
  'invalid_argument',
  'not_found',
  'already_exists',
  'failed_precondition',
  'aborted',
  'out_of_range',
  'permission_denied',
  'deadline_exceeded',
  'cancelled',
  'resource_exhausted',
  'unimplemented',
  'unavailable',
  'internal',
  'data_loss',
];

describe('status numbers', () => {
  it('are those of gRPC', () => {
    const names = grpcStatus as unknown as Record<string, number>;
    for (const code of CODES) assert.equal(codeToNumber(code), names[code.toUpperCase()], code);
  });

  it('turn back into the code they came from', () => {
    for (const code of CODES) assert.equal(numberToCode(codeToNumber(code)), code);
  });

  it('have a code of ours for every number a peer may send', () => {
    for (let number = 1; number <= 16; number++) assert.ok(CODES.includes(numberToCode(number)), String(number));
    assert.equal(numberToCode(99), 'internal');
  });

  it('says that the guest has run out of something, whoever met it, and the rest only to the log', () => {
    for (const [code, text] of [
      ['ENOSPC', 'space on a file system'],
      ['EMFILE', 'open files'],
      ['ENOMEM', 'memory'],
      ['EAGAIN', 'processes'],
    ] as const) {
      const error = Object.assign(new Error(`${code}: secret/path`), { code });
      const status = statusOf(error, '/s/m', silentLogger);
      assert.deepEqual(status, { code: 8, message: `the guest has run out of ${text} (${code})` });
    }
  });

  it('come with the text of our own errors and the generic one of any other', () => {
    const lines: LogFields[] = [];
    const log = { ...silentLogger, error: (_: string, fields: LogFields = {}) => lines.push(fields) };
    assert.deepEqual(statusOf(new AgentError('not_found', 'no container c1'), '/s/m', log), {
      code: 5,
      message: 'no container c1',
      trailers: {},
    });
    assert.equal(lines.length, 0);
    const cause = new Error('inner');
    assert.deepEqual(statusOf(new Error('outer', { cause }), '/s/m', log), { code: 13, message: 'internal error' });
    assert.equal(lines[0]?.['error'], 'outer: inner');
  });

  it('carry the limit, the field and what is named for it in trailing metadata, as printable ASCII', () => {
    const fields = { limit: 'streams', 'berth-note': 'é\n', container: 'c1', field: undefined };
    const { trailers } = statusOf(new AgentError('resource_exhausted', 'full', { fields }), '/s/m', silentLogger);
    assert.deepEqual(trailers, { 'berth-limit': 'streams', 'berth-note': '\\u00e9\\u000a' });
  });

  it('never carry a lone surrogate, which no header can', () => {
    const { message } = statusOf(new AgentError('internal', 'a\ud800b'), '/s/m', silentLogger);
    assert.doesNotThrow(() => encodeURI(message));
  });

  it('become an error that names the method', () => {
    const error = errorOf({ code: 5, message: 'gone' }, 'WaitProcess');
    assert.deepEqual([error.code, error.message, error.fields['method']], ['not_found', 'gone', 'WaitProcess']);
  });
});
