// The conformance table as data: whole, and nothing but data.
import assert from 'node:assert/strict';
import type { Data, Step } from '../../conformance/case.ts';
import { expand, type Plain } from '../../conformance/runner/expand.ts';
import { RPCS } from '../../conformance/runner/target.ts';
import { CASES, EXEMPTIONS } from '../../conformance/table.ts';
import { FRAGMENTS, TEMPLATES } from '../../conformance/templates.ts';
import { encode } from '../../support/wire/encode.ts';

const KINDS = ['normal', 'edge', 'bad-input'] as const;

/** RPCs of the table that lack a kind of case. */
function lacking(cases: typeof CASES): string[] {
  return [...RPCS.keys()].flatMap((rpc) =>
    KINDS.filter(
      (kind) =>
        !cases.some((each) => each.rpc === rpc && each.kind === kind) &&
        !EXEMPTIONS.some((exemption) => exemption.rpc === rpc && exemption.kind === kind),
    ).map((kind) => `${rpc} ${kind}`),
  );
}

describe('the conformance table', () => {
  it('is the same after a turn through JSON', () => {
    for (const data of [CASES, EXEMPTIONS, TEMPLATES, FRAGMENTS]) assert.deepEqual(JSON.parse(JSON.stringify(data)), data);
  });

  it('knows the 42 RPCs of grpc.AgentService and the two of grpc.Health', () => {
    const services = [...RPCS.values()].map(({ service }) => service);
    assert.equal(services.filter((service) => service === 'grpc.AgentService').length, 42);
    assert.equal(services.filter((service) => service === 'grpc.Health').length, 2);
  });

  it('has normal, edge and bad-input cases of every RPC', () => assert.deepEqual(lacking(CASES), []));

  it('would miss the last case of a kind', () => {
    assert.deepEqual(lacking(CASES.filter(({ rpc, kind }) => rpc !== 'Version' || kind !== 'edge')), ['Version edge']);
  });

  it('exempts nothing that has a case', () => {
    for (const { rpc, kind } of EXEMPTIONS) {
      assert.ok(RPCS.has(rpc), rpc);
      assert.ok(!CASES.some((each) => each.rpc === rpc && each.kind === kind), `${rpc} ${kind} has a case`);
    }
  });

  it('has no two cases of one id, and each counts for an RPC that it calls', () => {
    assert.equal(new Set(CASES.map(({ id }) => id)).size, CASES.length);
    for (const { id, rpc, steps, given } of CASES) {
      const text = JSON.stringify([given ?? [], steps, FRAGMENTS]);
      const stream = { ReadStdout: 'stdout', ReadStderr: 'stderr' }[rpc];
      const calls = text.includes(`"call":"${rpc}"`) || (stream !== undefined && text.includes(`"collect":"${stream}"`));
      assert.ok(RPCS.has(rpc) && calls, `${id} does not call ${rpc}`);
    }
  });

  for (const { id, given = [], steps, finally: last = [] } of CASES) {
    it(`sends only messages that the protocol has in ${id}`, () => {
      for (const step of [...given, ...steps, ...last]) checkStep(step, new Map());
    });
  }
});

/** Every name gets a value that fits: only the shape of the requests is looked at. */
const anyName = (names: ReadonlyMap<string, Plain>): ReadonlyMap<string, Plain> =>
  new Proxy(names, {
    get: (map, key) => (key === 'get' ? (name: string) => map.get(name) ?? STAND_IN[name] ?? '1' : Reflect.get(map, key)),
  });
const STAND_IN: Readonly<Record<string, Plain>> = { root: { driver: 'blk', source: '/dev/vdb', fstype: 'erofs' } };

function checkStep(step: Step, names: ReadonlyMap<string, Plain>): void {
  if ('use' in step) {
    const fragment = FRAGMENTS[step.use];
    assert.ok(fragment, `there is no fragment ${step.use}`);
    const given: { [name: string]: Data } = { ...fragment.names, ...step.with };
    const inner = new Map(names);
    for (const [name, value] of Object.entries(given)) inner.set(name, expand(value, anyName(names), TEMPLATES));
    for (const each of fragment.steps) checkStep(each, inner);
  } else if ('call' in step && step.payload === undefined) {
    const rpc = RPCS.get(step.call);
    assert.ok(rpc, `there is no RPC ${step.call}`);
    encode(rpc.request, expand(step.request ?? {}, anyName(names), TEMPLATES));
  }
}
