import assert from 'node:assert/strict';
import { type BerthHost, berthMethods } from '../../../../agent/api/berth/berth-methods.ts';
import { BERTH_UNARY } from '../../../../agent/api/berth/unary-names.ts';

describe('the names of berth.v1', () => {
  it('are those of the unary methods that are loaded later', () => {
    // No handler runs, so nothing of the host is looked at.
    const methods = berthMethods({ sandbox: {}, self: {}, core: {} } as unknown as BerthHost);
    const named = Object.entries(BERTH_UNARY).flatMap(([service, names]) => names.map((name) => `${service}/${name}`));
    const loaded = methods.filter(({ kind }) => kind === 'unary').map(({ service, name }) => `${service}/${name}`);
    assert.deepEqual(named.sort(), loaded.sort());
  });
});
