import assert from 'node:assert/strict';
import fc from 'fast-check';
import { grpc } from '#proto/kata.js';
import { toRuntimeSpec } from '../../../../agent/api/kata/oci-spec.ts';
import { parseSpec, stringifySpec } from '../../../../agent/container/spec/json.ts';
import { prepareSpec } from '../../../../agent/container/spec/prepare.ts';
import { isAgentError } from '../../../../agent/errors.ts';

/** One of everything, so that a changed byte can hit any field. */
const FULL = grpc.Spec.encode({
  Version: '1.0.2',
  Process: {
    ConsoleSize: { Height: 1, Width: 1 },
    User: { UID: 1, GID: 1, AdditionalGids: [1] },
    Args: ['sh'],
    Env: ['A=b'],
    Cwd: '/',
    Capabilities: { Bounding: ['CAP_KILL'] },
    Rlimits: [{ Type: 'RLIMIT_CORE', Soft: 1n, Hard: 2n }],
    OOMScoreAdj: -5n,
  },
  Root: { Path: '/r' },
  Hostname: 'h',
  Mounts: [{ destination: '/m', type: 'bind', source: '/s', options: ['ro'] }],
  Hooks: { StartContainer: [{ Path: '/h', Timeout: 1n }] },
  Annotations: { a: 'b' },
  Linux: {
    Sysctl: { 'net.a': '1' },
    CgroupsPath: 'a:b:c',
    Namespaces: [{ Type: 'uts' }, { Type: 'network', Path: '/run/netns/a' }],
    Devices: [{ Path: '/dev/a', Type: 'c', Major: 1n, Minor: 1n }],
    Seccomp: {
      DefaultAction: 'SCMP_ACT_ALLOW',
      Syscalls: [{ Names: ['a'], Action: 'SCMP_ACT_ERRNO', errnoret: 1, Args: [{ Value: 1n, Op: 'SCMP_CMP_EQ' }] }],
    },
    Resources: {
      Devices: [{ Allow: true, Type: 'c', Major: 1n, Access: 'r' }],
      Memory: { Limit: 1n, Swap: 2n },
      CPU: { Shares: 2n, Quota: 5000n, Period: 5000n, Cpus: '0' },
      Pids: { Limit: 1n },
      BlockIO: { Weight: 10 },
      HugepageLimits: [{ Pagesize: '2MB', Limit: 1n }],
    },
  },
}).finish();

describe('a spec with bytes changed at random', () => {
  it('is either refused with a typed error or becomes one that can be written and read back', () => {
    const change = fc.record({ at: fc.nat(FULL.length - 1), to: fc.nat(255) });
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), (changes) => {
        const bytes = Uint8Array.from(FULL);
        for (const { at, to } of changes) bytes[at] = to;
        let message: grpc.Spec.$Shape;
        try {
          message = grpc.Spec.decode(bytes);
        } catch {
          return;
        }
        try {
          const spec = prepareSpec(toRuntimeSpec(message), {
            containerId: 'c1',
            bundleRootfs: '/b',
            sandbox: {},
            sandboxPidns: false,
            guestNetns: '/proc/1/ns/net',
          });
          const text = stringifySpec(spec);
          assert.equal(stringifySpec(parseSpec(text)), text);
          accepted++;
        } catch (error) {
          assert.ok(isAgentError(error) && error.code !== 'internal', `${error}`);
        }
      }),
      { numRuns: 2000 },
    );
    assert.ok(accepted > 100, `only ${accepted} were accepted`);
  });
});
