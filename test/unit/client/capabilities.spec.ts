import assert from 'node:assert/strict';
import { ALL_CAPABILITIES, capabilitySet, DEFAULT_CAPABILITIES } from '../../../client/capabilities.ts';

describe('capabilities of a container', () => {
  it('are the defaults when nothing is asked for', () => {
    assert.deepEqual(capabilitySet(), [...DEFAULT_CAPABILITIES].sort());
  });

  it('can be added and dropped by name, with or without the prefix', () => {
    const set = capabilitySet(['net_admin', 'CAP_SYS_PTRACE'], ['Chown']);
    assert.ok(set.includes('CAP_NET_ADMIN') && set.includes('CAP_SYS_PTRACE') && !set.includes('CAP_CHOWN'));
  });

  it('are none but the named ones after dropping all', () => {
    assert.deepEqual(capabilitySet(['KILL'], ['ALL']), ['CAP_KILL']);
    assert.deepEqual(capabilitySet([], ['all']), []);
  });

  it('are every one but the named ones after adding all', () => {
    assert.deepEqual(capabilitySet(['ALL'], ['SYS_ADMIN']), ALL_CAPABILITIES.filter((name) => name !== 'CAP_SYS_ADMIN').sort());
  });

  it('are 41 in all, as in Linux 6.12', () => assert.equal(new Set(ALL_CAPABILITIES).size, 41));

  it('refuse a name the kernel does not have', () => {
    assert.throws(() => capabilitySet(['FLY']), { code: 'invalid_argument', message: "unknown capability 'FLY'" });
  });
});
