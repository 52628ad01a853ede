import assert from 'node:assert/strict';
import fc from 'fast-check';
import { berth } from '#proto/berth.js';
import { grpc } from '#proto/kata.js';
import { messageFacts } from '../../../../agent/api/admission/message-facts.ts';
import { hasCode } from '../../../../agent/errors.ts';
import type { ConditionName, Facts } from '../../../../agent/policy/facts.ts';
import { absentMethods } from './absent-methods.ts';

/** As a server gets it: encoded and decoded. */
function received<M>(
  type: { encode(message: M): { finish(): Uint8Array }; decode(bytes: Uint8Array): unknown },
  message: M,
): Facts {
  return messageFacts(type.decode(type.encode(message).finish()));
}

function values(facts: Facts, name: ConditionName): unknown[] {
  return facts.about(name).map(({ value }) => value);
}

describe('the facts of a request', () => {
  it('of CreateContainer name all that a container is given', () => {
    const facts = received(grpc.CreateContainerRequest, {
      containerId: 'web-1',
      sharedMounts: [{ srcCtr: 'other', dstCtr: 'web-1' }],
      storages: [{ driver: 'blk', source: '0001:00', fstype: 'ext4', options: ['ro'], mountPoint: '/run/x' }],
      devices: [{ id: '02', type: 'blk', vmPath: '/dev/vdb', containerPath: '/dev/data' }],
      OCI: {
        Root: { Path: '/run/rootfs', Readonly: true },
        Process: {
          User: { UID: 7, GID: 8, AdditionalGids: [9] },
          Args: ['/app', '-x'],
          Env: ['A=1'],
          Cwd: '/srv',
          NoNewPrivileges: true,
          Capabilities: { Bounding: ['CAP_KILL'], Effective: ['"net_raw"'] },
        },
        Mounts: [{ destination: 'etc/x', source: '/s', type: 'bind', options: ['rbind'] }],
        Hooks: { Prestart: [{ Path: '/hook' }] },
        Annotations: { 'io.kubernetes.cri.image-name': 'registry/app:1' },
        Linux: {
          Namespaces: [{ Type: 'mount' }, { Type: 'ipc' }, { Type: 'network', Path: '/run/netns/a' }],
          Sysctl: { 'net.core.somaxconn': '5' },
          Devices: [{ Path: '/dev/fuse', Type: 'c', Major: 10n, Minor: 229n }],
          Resources: {
            Devices: [{ Allow: true, Type: 'c', Major: 10n, Minor: -1n, Access: 'rw' }, { Allow: false }, { Allow: true }],
          },
          Seccomp: { Syscalls: [{ Names: ['open'] }] },
        },
      },
    });
    assert.deepEqual([...facts.containers].sort(), ['other', 'web-1']);
    const told = Object.fromEntries(
      (
        'uid gid additional_gids args env cwd terminal no_new_privileges capabilities rootfs readonly_rootfs mounts hooks images guest_namespaces ' +
        'namespace_paths sysctls devices device_rules seccomp storages'
      )
        .split(' ')
        .map((name) => [name, values(facts, name as ConditionName)]),
    );
    assert.deepEqual(told, {
      uid: [7],
      gid: [8],
      additional_gids: [9],
      args: [['/app', '-x']],
      env: ['A=1'],
      cwd: ['/srv'],
      terminal: [false],
      no_new_privileges: [true],
      capabilities: ['CAP_KILL', 'CAP_NET_RAW'],
      rootfs: ['/run/rootfs'],
      readonly_rootfs: [true],
      mounts: [{ destination: '/etc/x', source: '/s', type: 'bind', options: ['rbind'] }],
      hooks: ['/hook'],
      images: ['registry/app:1'],
      guest_namespaces: ['uts', 'cgroup', 'user'],
      namespace_paths: ['network:/run/netns/a'],
      sysctls: ['net.core.somaxconn=5'],
      devices: [
        { id: '02', type: 'blk', vm_path: '/dev/vdb', container_path: '/dev/data' },
        { id: '10:229', type: 'c', vm_path: '', container_path: '/dev/fuse' },
      ],
      device_rules: ['c 10:* rw', 'a *:* rwm'],
      seccomp: [true],
      storages: [{ driver: 'blk', source: '0001:00', fstype: 'ext4', options: ['ro'], mount_point: '/run/x' }],
    });
    assert.equal(facts.about('additional_gids')[0]?.field, 'OCI.Process.User.AdditionalGids[0]');
  });

  it('say root for a process that names no user, as it would run', () => {
    assert.deepEqual(values(received(grpc.ExecProcessRequest, { containerId: 'a', process: {} }), 'uid'), [0]);
    assert.deepEqual(values(received(berth.v1.StartRequest, { containerId: 'a', program: {} }), 'uid'), [0]);
  });

  it('know the empty id, which is the guest itself', () => {
    assert.deepEqual(received(berth.v1.StartRequest, { program: { args: ['ls'] } }).containers, ['']);
    assert.deepEqual(received(berth.v1.ListProcessesRequest, {}).containers, []);
  });

  it('of a config.json as text are those of the same spec as messages', () => {
    const specJson = JSON.stringify({
      process: {
        user: { uid: 7, additionalGids: [9] },
        args: ['/app'],
        env: ['A=1'],
        cwd: '/',
        capabilities: { bounding: ['CAP_KILL'] },
      },
      root: { path: '/r', readonly: true },
      mounts: [{ destination: '/x', type: 'tmpfs', source: 'tmpfs', options: ['ro'] }],
      hooks: { poststop: [{ path: '/h' }] },
      linux: {
        namespaces: [{ type: 'mount' }],
        sysctl: { a: '1' },
        resources: { devices: [{ allow: true, type: 'b', major: 8, access: 'r' }] },
        seccomp: {},
      },
    });
    const facts = received(berth.v1.CreateContainerRequest, { id: 'a', specJson });
    assert.deepEqual(facts.containers, ['a']);
    assert.deepEqual(values(facts, 'uid'), [7]);
    assert.deepEqual(values(facts, 'capabilities'), ['CAP_KILL']);
    assert.deepEqual(values(facts, 'mounts'), [{ destination: '/x', type: 'tmpfs', source: 'tmpfs', options: ['ro'] }]);
    assert.deepEqual(values(facts, 'hooks'), ['/h']);
    assert.deepEqual(values(facts, 'device_rules'), ['b 8:* r']);
    assert.deepEqual(values(facts, 'seccomp'), [true]);
    assert.equal(facts.about('args')[0]?.field, 'spec_json.process.args');
  });

  it('give the values at a path of fields, named as in the protocol, of every item of a list', () => {
    const facts = received(grpc.UpdateInterfaceRequest, {
      interface: { name: 'eth0', IPAddresses: [{ address: 'a' }, { address: 'b' }] },
    });
    assert.deepEqual(facts.at(['interface', 'IPAddresses', 'address']), [
      { field: 'interface.IPAddresses[0].address', value: 'a' },
      { field: 'interface.IPAddresses[1].address', value: 'b' },
    ]);
    const sandbox = received(grpc.CreateSandboxRequest, { kernelModules: [{ name: 'x', parameters: ['p=1'] }] });
    assert.deepEqual(sandbox.at(['guest_hook_path']), [{ field: 'guest_hook_path', value: '' }]);
    assert.deepEqual(sandbox.at(['kernel_modules', 'parameters'])[0], { field: 'kernel_modules[0].parameters[0]', value: 'p=1' });
    assert.deepEqual(sandbox.at(['nothing']), []);
    assert.deepEqual(received(grpc.CopyFileRequest, { data: Buffer.from('secret') }).at(['data']), [
      { field: 'data', value: '6 bytes' },
    ]);
  });

  it('of a tunnel name the container, the port and the socket that it leads to', () => {
    const open = (target: berth.v1.TunnelRequest.Target.$Properties) => received(berth.v1.TunnelRequest, { target });
    const tcp = open({ containerId: 'web', tcp: { port: 80 } });
    assert.deepEqual(tcp.containers, ['web']);
    assert.deepEqual(tcp.at(['target', 'tcp', 'port']), [{ field: 'target.tcp.port', value: 80 }]);
    assert.deepEqual(values(tcp, 'paths'), []);
    const unix = open({ unix: { path: '/run/x/../app.sock' } });
    assert.deepEqual(unix.containers, ['']);
    assert.deepEqual(unix.about('paths'), [{ field: 'target.unix.path', value: '/run/x/../app.sock' }]);
    assert.deepEqual(values(open({ unix: { path: '@app' } }), 'paths'), []);
    const data = berth.v1.TunnelRequest.decode(berth.v1.TunnelRequest.encode({ data: Buffer.from('x') }).finish());
    assert.deepEqual(messageFacts(data, ['web']).containers, ['web']);
  });

  it('name a container in every request of berth.v1.Containers that has an id', () => {
    const requests = Object.entries(berth.v1 as unknown as Record<string, { prototype?: object }>).filter(
      ([name, type]) => name.endsWith('Request') && type.prototype !== undefined && 'id' in type.prototype,
    );
    assert.ok(requests.length >= 8, `${requests.length} requests`);
    for (const [name, type] of requests) {
      const Request = type as unknown as new (fields: object) => object;
      assert.deepEqual(messageFacts(new Request({ id: 'x', specJson: '{}' })).containers, ['x'], name);
    }
  });

  it('can be told, or are refused as unreadable, whatever bytes a request decodes from', () => {
    const requests = absentMethods().map(({ request }) => request);
    fc.assert(
      fc.property(fc.constantFrom(...requests), fc.uint8Array({ maxLength: 200 }), (request, bytes) => {
        let message: unknown;
        try {
          message = request.decode(bytes);
        } catch {
          return;
        }
        try {
          messageFacts(message);
        } catch (error) {
          assert.ok(hasCode(error, 'invalid_argument'), String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });
});
