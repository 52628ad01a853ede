// The policies of docs/policy.md are real: loaded with the agent's own methods, and asked.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { berth } from '#proto/berth.js';
import { grpc } from '#proto/kata.js';
import { admission } from '../../../agent/api/admission/admission.ts';
import { propertyName } from '../../../agent/api/admission/message-facts.ts';
import { silentLogger } from '../../../agent/log.ts';
import {
  FLAG_CONDITIONS,
  NUMBER_CONDITIONS,
  PATH_CONDITIONS,
  RECORD_CONDITIONS,
  TEXT_CONDITIONS,
} from '../../../agent/policy/facts.ts';
import { parsePolicy } from '../../../agent/policy/load.ts';
import { compilePolicy } from '../../../agent/policy/policy.ts';
import type { Caller, Guard, Method } from '../../../agent/rpc/service.ts';
import { absentMethods } from '../api/admission/absent-methods.ts';

// At once, not awaited: Mocha hides what goes wrong in a file whose loading waits.
const page = readFileSync(new URL('../../../docs/policy.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/^```toml\n(.*?)^```/gms)].map((match) => match[1] as string);
const policies = examples.filter((example) => example.startsWith('version = '));
const rules = examples.filter((example) => !policies.includes(example));
const caller: Caller = { id: 'c1', protocol: 'ttrpc', peer: 'vsock:2:1' };

/** Methods of ours that the page speaks of and that may not be served by this build. */
const OURS = [{ service: 'berth.v1.Processes', name: 'Start', request: berth.v1.StartRequest }];

function guardOf(policy: string | undefined): Guard {
  const known = [...absentMethods(), ...OURS].map(({ service, name, request }) => {
    const { prototype } = request as unknown as { prototype: object };
    return { service, name, hasField: (field: string) => propertyName(field, prototype) in prototype };
  });
  return admission(compilePolicy(parsePolicy(policy ?? '', known)), silentLogger);
}

describe('the documented policy', () => {
  /** What the guard says to a call, given as `service/name` or as a name of Kata's service. */
  function answer<M>(
    guard: Guard,
    rpc: string,
    type: { encode(message: M): { finish(): Uint8Array }; decode(bytes: Uint8Array): unknown },
    message: M,
  ): string {
    const [name = '', service = 'grpc.AgentService'] = rpc.split('/').reverse();
    const method: Method = {
      kind: 'unary',
      service,
      name,
      request: type,
      response: grpc.Routes,
      handle: () => ({}),
    };
    try {
      guard.forMethod(method)?.admit(type.decode(type.encode(message).finish()), caller);
      return 'allowed';
    } catch (error) {
      return (error as Error).message;
    }
  }

  it('names every condition there is', () => {
    const names = [
      ...TEXT_CONDITIONS,
      ...PATH_CONDITIONS,
      ...NUMBER_CONDITIONS,
      ...FLAG_CONDITIONS,
      ...Object.keys(RECORD_CONDITIONS),
      'args',
      'fields',
    ];
    for (const name of names) assert.ok(page.includes(`\`${name}\``), `docs/policy.md does not speak of ${name}`);
    for (const [name, properties] of Object.entries(RECORD_CONDITIONS)) {
      assert.ok(page.includes(`{ ${Object.keys(properties).join(', ')} }`), `docs/policy.md does not tell all of ${name}`);
    }
  });

  it('has rules by themselves that load as part of one', () => {
    assert.equal(rules.length, 1);
    for (const rule of rules) {
      const guard = guardOf(`version = 1\ndefault = "allow"\n${rule}`);
      assert.match(answer(guard, 'berth.v1.Agent/Upgrade', berth.v1.UpgradeRequest, {}), /rule "this agent stays" denies it$/);
      assert.equal(answer(guard, 'StartContainer', grpc.StartContainerRequest, { containerId: 'web-1' }), 'allowed');
    }
  });

  it('for a database lets it be driven, but by no exec and no file from outside', () => {
    const guard = guardOf(policies[0]);
    const exec = (containerId: string) =>
      answer(guard, 'ExecProcess', grpc.ExecProcessRequest, { containerId, process: { Args: ['sh'] } });
    assert.equal(exec('db-1'), 'ExecProcessRequest is blocked by policy: rule "no exec in the database" denies it');
    assert.equal(exec('web-1'), 'allowed');
    const copy = (path: string) => answer(guard, 'CopyFile', grpc.CopyFileRequest, { path });
    assert.equal(copy('/run/kata-containers/shared/containers/x/file'), 'allowed');
    assert.match(copy('/etc/passwd'), /requires otherwise: path is "\/etc\/passwd"/);
    assert.equal(
      guard.forMethod({
        kind: 'unary',
        service: 'grpc.AgentService',
        name: 'StatsContainer',
        request: grpc.StatsContainerRequest,
        response: grpc.Routes,
        handle: () => ({}),
      }),
      undefined,
    );
  });

  describe('for a pod', () => {
    const guard = guardOf(policies[1]);
    const container = (change: (spec: grpc.ISpec) => void = () => {}) => {
      const spec: grpc.ISpec = {
        Root: { Path: '/run/kata-containers/shared/containers/web-1/rootfs' },
        Process: {
          User: { UID: 1000, GID: 1000 },
          Args: ['/app'],
          Env: ['PATH=/bin'],
          NoNewPrivileges: true,
          Capabilities: { Bounding: ['CAP_KILL'] },
        },
        Mounts: [
          { destination: '/proc', type: 'proc', source: 'proc' },
          { destination: '/data', type: 'bind', source: '/run/kata-containers/shared/containers/data', options: ['rbind'] },
        ],
        Linux: {
          Namespaces: [{ Type: 'mount' }, { Type: 'ipc' }, { Type: 'uts' }],
          Resources: {
            Devices: [
              { Allow: false, Access: 'rwm' },
              { Allow: true, Type: 'c', Major: 1n, Minor: 3n, Access: 'rwm' },
            ],
          },
        },
      };
      change(spec);
      return answer(guard, 'CreateContainer', grpc.CreateContainerRequest, { containerId: 'web-1', OCI: spec });
    };

    it('lets its containers be made', () => assert.equal(container(), 'allowed'));

    const refused: readonly (readonly [string, (spec: grpc.ISpec) => void, RegExp])[] = [
      ['root', (spec) => (spec.Process!.User = {}), /OCI\.Process\.User\.UID is 0$/],
      ['the group of root', (spec) => (spec.Process!.User!.AdditionalGids = [0]), /AdditionalGids\[0\] is 0$/],
      ['new privileges', (spec) => (spec.Process!.NoNewPrivileges = false), /NoNewPrivileges is false$/],
      ['a capability', (spec) => (spec.Process!.Capabilities!.Ambient = ['SYS_ADMIN']), /Ambient\[0\] is "CAP_SYS_ADMIN"$/],
      ['a root of the guest', (spec) => (spec.Root!.Path = '/'), /OCI\.Root\.Path is "\/"$/],
      [
        'a directory of the guest',
        (spec) => (spec.Mounts![1]!.source = '/etc'),
        /OCI\.Mounts\[1\] is \{"destination":"\/data","source":"\/etc"/,
      ],
      ['one by dots', (spec) => (spec.Mounts![1]!.source = '/run/kata-containers/../../etc'), /OCI\.Mounts\[1\]/],
      ['the mounts of the guest', (spec) => void spec.Linux!.Namespaces!.shift(), /OCI\.Linux\.Namespaces is "mount"$/],
      ['a namespace of others', (spec) => (spec.Linux!.Namespaces![0]!.Path = '/run/netns/x'), /"mount:\/run\/netns\/x"$/],
      [
        'a device',
        (spec) => (spec.Linux!.Devices = [{ Path: '/dev/kvm', Type: 'c', Major: 10n, Minor: 232n }]),
        /OCI\.Linux\.Devices\[0\]/,
      ],
      ['all devices', (spec) => (spec.Linux!.Resources!.Devices![0]!.Allow = true), /Devices\[0\] is "a \*:\* rwm"$/],
      ['a hook', (spec) => (spec.Hooks = { Prestart: [{ Path: '/x' }] }), /Hooks\.Prestart\[0\]\.Path is "\/x"$/],
      ['a sysctl', (spec) => (spec.Linux!.Sysctl = { 'kernel.core_pattern': '|/x' }), /Sysctl\[kernel\.core_pattern\]/],
      [
        'a preloaded library',
        (spec) => (spec.Process!.Env = ['LD_PRELOAD=/x']),
        /rule "no loader tricks" denies it: OCI\.Process\.Env\[0\] is "LD_PRELOAD=\.\.\."$/,
      ],
    ];
    for (const [what, change, message] of refused) it(`refuses them ${what}`, () => assert.match(container(change), message));

    it('has two command lines and no shell', () => {
      const exec = (args: string[], UID = 1000) =>
        answer(guard, 'ExecProcess', grpc.ExecProcessRequest, {
          containerId: 'web-1',
          process: { Args: args, User: { UID, GID: 1000 } },
        });
      assert.equal(exec(['/usr/bin/healthcheck']), 'allowed');
      assert.equal(exec(['cat', '/var/log/app/x.log']), 'allowed');
      assert.match(exec(['sh', '-c', 'id']), /does not cover this: process\.Args is \["sh","-c","id"\]$/);
      assert.match(exec(['/usr/bin/healthcheck'], 0), /process\.User\.UID is 0$/);
    });

    it('has the calls that a Kata host makes, and none that it does not need', () => {
      assert.equal(answer(guard, 'UpdateInterface', grpc.UpdateInterfaceRequest, { interface: { name: 'eth0' } }), 'allowed');
      assert.match(answer(guard, 'SetIPTables', grpc.SetIPTablesRequest, {}), /no rule allows SetIPTables$/);
      assert.match(
        answer(guard, 'CreateSandbox', grpc.CreateSandboxRequest, { guestHookPath: '/hooks' }),
        /guest_hook_path is "\/hooks"$/,
      );
      assert.match(answer(guard, 'CreateSandbox', grpc.CreateSandboxRequest, { kernelModules: [{ name: 'x' }] }), /is "x"$/);
      assert.equal(answer(guard, 'CreateSandbox', grpc.CreateSandboxRequest, { sandboxId: 's', hostname: 'pod' }), 'allowed');
    });
  });
});
