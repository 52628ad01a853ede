import assert from 'node:assert/strict';
import { parse } from 'smol-toml';
import { readDocument } from '../../../agent/policy/document.ts';
import type { ConditionName, Fact, Facts, FactValue } from '../../../agent/policy/facts.ts';
import { compilePolicy, type Decision, refuseAll } from '../../../agent/policy/policy.ts';

const SERVICE = 'grpc.AgentService';
const peer = 'vsock:2:77';

function facts(values: Partial<Record<ConditionName, FactValue[]>>, containers: string[] = ['web-1']): Facts {
  const about = (name: ConditionName): Fact[] =>
    (values[name] ?? []).map((value, index) => ({ field: `${name}[${index}]`, value }));
  return { containers, about, at: (path) => about(path.join('.') as ConditionName) };
}

function decide(policy: string, method: string, asked: Facts = facts({}), caller = peer): Decision {
  const compiled = compilePolicy(readDocument(parse(`version = 1\n${policy}`))).forMethod({ service: SERVICE, name: method });
  return compiled?.decide({ peer: caller }, asked) ?? { allowed: true, rule: 'none' };
}

describe('the policy', () => {
  it('stands in the way of no method that it can refuse nothing of', () => {
    const policy = compilePolicy(readDocument(parse('version = 1\ndefault = "allow"\n[[deny]]\nrpcs = ["ExecProcess"]')));
    assert.equal(policy.forMethod({ service: SERVICE, name: 'StatsContainer' }), undefined);
    assert.ok(policy.forMethod({ service: SERVICE, name: 'ExecProcess' }));
  });

  it('takes a pattern with a slash for service and method, one without for the method of any service', () => {
    const deny = (rpc: string, method: { service: string; name: string }) =>
      compilePolicy(readDocument({ version: 1, default: 'allow', deny: [{ rpcs: [rpc] }] })).forMethod(method) !== undefined;
    assert.ok(deny('berth.v1.*/*', { service: 'berth.v1.Files', name: 'Read' }));
    assert.ok(!deny('berth.v1.*/*', { service: SERVICE, name: 'CopyFile' }));
    assert.ok(deny('Read*', { service: SERVICE, name: 'ReadStdout' }));
    assert.ok(!deny('grpc.*', { service: SERVICE, name: 'ReadStdout' }));
  });

  it('denies for one container and lets the others be', () => {
    const policy = 'default = "allow"\n[[deny]]\nname = "no exec"\nrpcs = ["ExecProcess"]\ncontainers = ["db-*"]';
    assert.deepEqual(decide(policy, 'ExecProcess', facts({}, ['db-1'])), {
      allowed: false,
      rule: 'no exec',
      reason: 'rule "no exec" denies it',
      fact: undefined,
    });
    assert.equal(decide(policy, 'ExecProcess').allowed, true);
  });

  it('denies by default what no rule allows, naming the container', () => {
    const policy = 'default = "deny"\n[[allow]]\nrpcs = ["StartContainer"]\ncontainers = ["web-*"]';
    assert.equal(decide(policy, 'StartContainer').allowed, true);
    const refused = decide(policy, 'StartContainer', facts({}, ['db-1']));
    assert.ok(!refused.allowed);
    assert.equal(refused.reason, 'no rule allows StartContainer in container db-1');
    assert.equal(decide(policy, 'PauseContainer').allowed, false);
  });

  it('lets a refusal win over a permission, in whatever order they stand', () => {
    const [allow, deny] = ['[[allow]]\nrpcs = ["ExecProcess"]', '[[deny]]\nrpcs = ["ExecProcess"]\nuid = [0]'];
    for (const rules of [`${allow}\n${deny}`, `${deny}\n${allow}`]) {
      assert.equal(decide(`default = "deny"\n${rules}`, 'ExecProcess', facts({ uid: [0] })).allowed, false);
      assert.equal(decide(`default = "deny"\n${rules}`, 'ExecProcess', facts({ uid: [7] })).allowed, true);
    }
  });

  it('wants every value covered by what permits, and finds any value that is denied', () => {
    const [mine, theirs] = [
      { destination: '/data', source: '', type: 'tmpfs', options: [] },
      { destination: '/x', source: '', type: 'bind', options: [] },
    ];
    const asked = facts({ mounts: [mine, theirs] });
    const listed = 'mounts = [{ type = "tmpfs" }]';
    const required = decide(
      `default = "allow"\n[[require]]\nname = "r"\nrpcs = ["CreateContainer"]\n${listed}`,
      'CreateContainer',
      asked,
    );
    assert.ok(!required.allowed);
    assert.deepEqual(required.fact, { field: 'mounts[1]', value: theirs });
    const denied = decide(`default = "allow"\n[[deny]]\n${listed}`, 'CreateContainer', asked);
    assert.ok(!denied.allowed);
    assert.deepEqual(denied.fact, { field: 'mounts[0]', value: mine });
    assert.equal(decide('default = "allow"\n[[require]]\nrpcs = ["*"]\nmounts = []', 'CreateContainer', asked).allowed, false);
    assert.equal(decide('default = "allow"\n[[require]]\nrpcs = ["*"]\nmounts = []', 'CreateContainer').allowed, true);
  });

  it('wants all conditions of one rule to hold', () => {
    const policy = 'default = "allow"\n[[deny]]\nuid = [0]\nterminal = true';
    assert.equal(decide(policy, 'ExecProcess', facts({ uid: [0], terminal: [false] })).allowed, true);
    assert.equal(decide(policy, 'ExecProcess', facts({ uid: [0], terminal: [true] })).allowed, false);
    assert.equal(decide(policy, 'ExecProcess', facts({ uid: [0] })).allowed, true);
  });

  it('names the nearest rule that would have allowed, and what it does not cover', () => {
    const policy = 'default = "deny"\n[[allow]]\nname = "pod"\nrpcs = ["ExecProcess"]\nuid = ["1000-1999", 5]';
    const refused = decide(policy, 'ExecProcess', facts({ uid: [2000] }));
    assert.ok(!refused.allowed);
    assert.equal(refused.reason, 'no rule allows it, and rule "pod" does not cover this');
    assert.deepEqual(refused.fact, { field: 'uid[0]', value: 2000 });
    for (const uid of [5, 1000, 1999]) assert.equal(decide(policy, 'ExecProcess', facts({ uid: [uid] })).allowed, true);
  });

  it('compares command lines argument by argument', () => {
    const run = (argv: string[]) =>
      decide(
        'default = "deny"\n[[allow]]\nrpcs = ["*"]\nargs = [["ls", "..."], ["cat", "/etc/*"]]',
        'ExecProcess',
        facts({ args: [argv] }),
      ).allowed;
    assert.ok(run(['ls']) && run(['ls', '-l', '/']) && run(['cat', '/etc/hosts']));
    assert.ok(
      !run(['ls -l']) && !run(['cat', '/etc/x/y']) && !run(['cat', '/etc/a', '/etc/b']) && !run(['sh', '-c', 'ls']) && !run([]),
    );
  });

  it('resolves paths before it compares them, so that dots and slashes lead around nothing', () => {
    const copy = (path: string) =>
      decide('default = "deny"\n[[allow]]\nrpcs = ["*"]\npaths = ["/shared/**"]', 'CopyFile', facts({ paths: [path] })).allowed;
    assert.ok(copy('/shared/a') && copy('/shared//a/./b'));
    assert.ok(!copy('/shared/../etc/passwd') && !copy('/sharedx') && !copy('shared/a'));
    const mount = (destination: string) =>
      decide(
        'default = "allow"\n[[deny]]\nmounts = [{ destination = "/proc/**" }]',
        'CreateContainer',
        facts({ mounts: [{ destination, options: [] }] }),
      ).allowed;
    assert.ok(!mount('/x/../proc/sys') && !mount('//proc/sys'));
  });

  it('compares variables by name, or with their value where the pattern has one', () => {
    const with_ = (env: string) =>
      decide('default = "allow"\n[[deny]]\nenv = ["LD_*", "MODE=debug"]', 'ExecProcess', facts({ env: [env] })).allowed;
    assert.ok(!with_('LD_PRELOAD=/x.so') && !with_('LD_DEBUG') && !with_('MODE=debug'));
    assert.ok(with_('MODE=fast') && with_('OLD_X=1'));
  });

  it('takes options one by one: all of them covered, or any of them denied', () => {
    const mount = { destination: '/d', source: '/s', type: 'bind', options: ['ro', 'nosuid'] };
    const ask = (policy: string) => decide(policy, 'CreateContainer', facts({ mounts: [mount] })).allowed;
    assert.ok(!ask('default = "deny"\n[[allow]]\nrpcs = ["*"]\nmounts = [{ options = ["ro"] }]'));
    assert.ok(ask('default = "deny"\n[[allow]]\nrpcs = ["*"]\nmounts = [{ options = ["ro", "no*"] }]'));
    assert.ok(!ask('default = "allow"\n[[deny]]\nmounts = [{ options = ["nosuid"] }]'));
  });

  it('tells callers apart by their address', () => {
    const policy = 'default = "deny"\n[[allow]]\nrpcs = ["*"]\npeers = ["vsock:2:*"]';
    assert.equal(decide(policy, 'StatsContainer').allowed, true);
    assert.equal(decide(policy, 'StatsContainer', facts({}), 'unix').allowed, false);
  });

  it('wants all containers of a call covered by what permits, and one is enough for a refusal', () => {
    const both = facts({}, ['a', 'b']);
    assert.equal(decide('default = "deny"\n[[allow]]\nrpcs = ["*"]\ncontainers = ["a"]', 'CreateContainer', both).allowed, false);
    assert.equal(decide('default = "allow"\n[[deny]]\ncontainers = ["b"]', 'CreateContainer', both).allowed, false);
    assert.equal(
      decide('default = "deny"\n[[allow]]\nrpcs = ["*"]\ncontainers = ["*"]', 'GetOOMEvent', facts({}, [])).allowed,
      false,
    );
  });

  it('refuses what it can not decide', () => {
    const refused = decide(
      'default = "allow"\n[[deny]]\nargs = [["*x?"]]',
      'ExecProcess',
      facts({ args: [['y'.repeat(70_000)]] }),
    );
    assert.ok(!refused.allowed);
    assert.match(refused.reason, /^it can't be decided: .*too long/);
  });

  it('opens a stream that some message of it could pass, and no other', () => {
    const open = (rules: string) =>
      compilePolicy(readDocument(parse(`version = 1\n${rules}`)))
        .forMethod({ service: 'berth.v1.Processes', name: 'Attach' })
        ?.decideOpen({ peer }).allowed;
    assert.equal(open('default = "deny"\n[[allow]]\nrpcs = ["Attach"]\ncontainers = ["x"]'), true);
    assert.equal(open('default = "deny"'), false);
    assert.equal(open('default = "allow"\n[[deny]]\nrpcs = ["Attach"]'), false);
    assert.equal(open('default = "allow"\n[[deny]]\nrpcs = ["Attach"]\ncontainers = ["x"]'), true);
  });

  it('that can not be used refuses everything and says why', () => {
    const method = refuseAll('the policy file can not be used').forMethod({ service: SERVICE, name: 'GetMetrics' });
    assert.deepEqual(method?.decide({ peer }, facts({})), {
      allowed: false,
      rule: 'none',
      reason: 'the policy file can not be used',
    });
    assert.equal(method?.decideOpen({ peer }).allowed, false);
  });
});
