import assert from 'node:assert/strict';
import fc from 'fast-check';
import { stringifySpec } from '../../../../agent/container/spec/json.ts';
import { readSpec } from '../../../../agent/container/spec/shape.ts';
import { hasCode, isAgentError } from '../../../../agent/errors.ts';

const MINIMAL = { process: { args: ['true'], cwd: '/' }, root: { path: 'rootfs' } };

/** The field that the refusal of this spec names. */
function refusedField(spec: unknown): unknown {
  try {
    readSpec(stringifySpec(spec));
  } catch (error) {
    assert.ok(isAgentError(error) && error.code === 'invalid_argument', String(error));
    return error.fields['field'];
  }
  return assert.fail('it was taken');
}

describe('the shape of a config.json', () => {
  it('takes a minimal one and fills in what the agent counts on', () => {
    assert.deepEqual(readSpec(JSON.stringify(MINIMAL)), {
      ociVersion: '1.2.0',
      process: { user: { uid: 0, gid: 0 }, env: [], oomScoreAdj: 0, args: ['true'], cwd: '/' },
      root: { path: 'rootfs' },
      mounts: [],
      linux: { namespaces: [] },
    });
  });

  it('keeps numbers beyond 2^53 exact', () => {
    const limit = (1n << 63n) - 1n;
    const spec = readSpec(stringifySpec({ ...MINIMAL, linux: { resources: { memory: { limit, swap: -1n } } } }));
    assert.deepEqual(spec.linux.resources?.memory, { limit, swap: -1n });
  });

  it('leaves out what it does not know, as the specification asks', () => {
    const spec = readSpec(JSON.stringify({ ...MINIMAL, solaris: {}, process: { ...MINIMAL.process, ioPriority: {} } }));
    assert.equal('solaris' in spec, false);
    assert.equal('ioPriority' in spec.process, false);
  });

  it('takes null for absent', () => {
    assert.equal(readSpec(JSON.stringify({ ...MINIMAL, hostname: null })).hostname, undefined);
  });

  const refusals: [string, unknown, string][] = [
    ['no process', { root: MINIMAL.root }, 'process'],
    ['no arguments', { ...MINIMAL, process: { cwd: '/' } }, 'process.args'],
    ['an argument that is a number', { ...MINIMAL, process: { args: ['a', 1], cwd: '/' } }, 'process.args[1]'],
    ['an argument with a NUL', { ...MINIMAL, process: { args: ['a\0b'], cwd: '/' } }, 'process.args[0]'],
    ['a list for the root', { ...MINIMAL, root: [] }, 'root'],
    ['a text for a flag', { ...MINIMAL, root: { path: '/', readonly: 'yes' } }, 'root.readonly'],
    ['a negative uid', { ...MINIMAL, process: { args: ['a'], cwd: '/', user: { uid: -1, gid: 0 } } }, 'process.user.uid'],
    ['a broken number', { ...MINIMAL, process: { args: ['a'], cwd: '/', user: { uid: 1.5, gid: 0 } } }, 'process.user.uid'],
    ['an unknown namespace', { ...MINIMAL, linux: { namespaces: [{ type: 'moon' }] } }, 'linux.namespaces[0].type'],
    [
      'an unknown capability',
      { ...MINIMAL, process: { args: ['a'], cwd: '/', capabilities: { bounding: ['CAP_FLY'] } } },
      'process.capabilities.bounding[0]',
    ],
    ['an annotation that is no text', { ...MINIMAL, annotations: { a: 1 } }, 'annotations["a"]'],
    ['an unknown seccomp action', { ...MINIMAL, linux: { seccomp: { defaultAction: 'SHRUG' } } }, 'linux.seccomp.defaultAction'],
  ];
  for (const [what, spec, field] of refusals) {
    it(`refuses ${what} and names ${field}`, () => {
      assert.equal(refusedField(spec), field);
    });
  }

  it('refuses more text than a spec can be', () => {
    assert.throws(
      () => readSpec(`${JSON.stringify(MINIMAL)}${' '.repeat(1 << 20)}`),
      (error) => hasCode(error, 'invalid_argument'),
    );
  });

  it('never throws anything but invalid_argument, whatever the JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (process, linux) => {
        try {
          readSpec(JSON.stringify({ ...MINIMAL, process, linux }));
        } catch (error) {
          assert.ok(hasCode(error, 'invalid_argument'), String(error));
        }
      }),
    );
  });
});
