import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { hasCode } from '../../../agent/errors.ts';
import { silentLogger } from '../../../agent/log.ts';
import { findPolicyFile } from '../../../agent/policy/find.ts';
import { type KnownMethod, loadPolicy, parsePolicy } from '../../../agent/policy/load.ts';

const METHODS: KnownMethod[] = ['ExecProcess', 'CopyFile'].map((name) => ({
  service: 'grpc.AgentService',
  name,
  hasField: (field) => field === 'path',
}));

describe('a policy file', () => {
  const broken: readonly (readonly [string, string, RegExp])[] = [
    ['no TOML', 'version = ', /^not TOML: /],
    ['another version', 'version = 2\ndefault = "deny"', /^version must be 1/],
    ['no default', 'version = 1', /^default must be "allow" or "deny"/],
    ['an unknown key', 'version = 1\ndefault = "deny"\nrule = []', /^the policy has an unknown key "rule"/],
    ['an unknown condition', '[[deny]]\nuids = [0]', /^rule "deny\[0\]" has an unknown key "uids"/],
    ['a misspelt RPC', '[[deny]]\nrpcs = ["ExecProces"]', /no RPC is named "ExecProces"/],
    ['a misspelt field', '[[deny]]\nrpcs = ["CopyFile"]\nfields.pth = ["x"]', /no request of its RPCs has a field pth/],
    ['a permission that names no RPC', '[[allow]]\nuid = [1]', /rpcs is missing/],
    ['an empty refusal', '[[deny]]\nuid = []', /uid is empty, and so denies nothing/],
    ['an id out of range', '[[deny]]\nuid = [4294967296]', /uid\[0\] must be a number/],
    ['a range that is none', '[[deny]]\nuid = ["9-5"]', /uid\[0\] must be a number/],
    ['a text for a list', '[[deny]]\ncapabilities = "CAP_SYS_ADMIN"', /capabilities must be a list/],
    ['a number for a flag', '[[deny]]\nterminal = 1', /terminal must be true or false/],
    ['a command line as one text', '[[deny]]\nargs = ["ls -l"]', /args\[0\] must be a list/],
    ['an unknown property of a mount', '[[deny]]\nmounts = [{ dest = "/x" }]', /unknown key "dest"/],
    ['a mount of which nothing is said', '[[deny]]\nmounts = [{}]', /says nothing/],
    ['a date', '[[deny]]\ncwd = [2020-01-01]', /must be a text/],
  ];
  for (const [what, text, message] of broken) {
    it(`with ${what} is no policy, and the error names the place`, () => {
      const whole = text.startsWith('[[') ? `version = 1\ndefault = "allow"\n${text}` : text;
      assert.throws(
        () => parsePolicy(whole, METHODS),
        (error) => hasCode(error, 'invalid_argument') && message.test(error.message),
      );
    });
  }

  it('of any text is understood or refused, and throws nothing else', () => {
    const line = fc.constantFrom(
      'version = 1',
      'default = "deny"',
      '[[allow]]',
      '[[deny]]',
      'rpcs = ["*"]',
      'uid = [0]',
      'mounts = [{}]',
      'fields.path = ["/**"]',
      'args = [[]]',
      '= =',
      'name = 3',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(line, { maxLength: 8 }).map((lines) => lines.join('\n')),
        ),
        (text) => {
          try {
            parsePolicy(text, METHODS);
          } catch (error) {
            assert.ok(hasCode(error, 'invalid_argument'), String(error));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  describe('on disk', () => {
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'berth-policy-'));
    });
    after(() => rm(folder, { recursive: true }));

    const decided = async (content: string | Buffer | undefined) => {
      const file = join(folder, 'policy.toml');
      await rm(file, { force: true });
      if (content !== undefined) await writeFile(file, content);
      const policy = await loadPolicy(file, METHODS, silentLogger);
      const facts = { containers: [], about: () => [], at: () => [] };
      return policy.forMethod({ service: 'grpc.AgentService', name: 'CopyFile' })?.decide({ peer: 'unix' }, facts);
    };

    it('may be filled up with white space, as a disk is', async () => {
      assert.equal(await decided(`version = 1\ndefault = "allow"\n${' \n'.repeat(2000)}`), undefined);
    });

    for (const [what, content] of [
      ['is missing', undefined],
      ['is empty', ''],
      ['is no text', Buffer.from([0xff, 0xfe])],
      ['is too long', ' '.repeat(1_048_577)],
    ] as const) {
      it(`that ${what} refuses every call and names the file`, async () => {
        const decision = await decided(content);
        assert.ok(decision && !decision.allowed);
        assert.match(decision.reason, /^the policy file .*policy\.toml can't be used: /);
      });
    }

    it('is looked for at its default place, and need not be there', async () => {
      assert.equal(await findPolicyFile('', join(folder, 'absent')), undefined);
      assert.equal(await findPolicyFile(join(folder, 'absent')), join(folder, 'absent'));
      const there = join(folder, 'there');
      await writeFile(there, '');
      assert.equal(await findPolicyFile('', there), there);
      assert.equal(await findPolicyFile('', join(folder, 'a'.repeat(5000))), join(folder, 'a'.repeat(5000)));
    });
  });
});
