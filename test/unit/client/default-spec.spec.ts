import assert from 'node:assert/strict';
import { grpc } from '#proto/kata.js';
import { DEFAULT_CAPABILITIES } from '../../../client/capabilities.ts';
import { defaultProcess, defaultSpec } from '../../../client/default-spec.ts';

const root = { rootPath: '/run/kata-containers/c1/rootfs' };

describe('the spec of a container that asks for nothing', () => {
  it('is the one docker gives, in the words of oci.proto', () => {
    const { Mounts, Linux, Process, ...rest } = defaultSpec({ ...root, args: ['true'] });
    assert.deepEqual(rest, {
      Version: '1.2.0',
      Root: { Path: root.rootPath, Readonly: false },
      Hostname: '',
      Annotations: {},
    });
    assert.deepEqual(
      Mounts?.map(({ destination, type, options }) => `${destination} ${type} ${options?.join()}`),
      [
        '/proc proc nosuid,noexec,nodev',
        '/dev tmpfs nosuid,strictatime,mode=755,size=65536k',
        '/dev/pts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5',
        '/sys sysfs nosuid,noexec,nodev,ro',
        '/sys/fs/cgroup cgroup nosuid,noexec,nodev,ro',
        '/dev/mqueue mqueue nosuid,noexec,nodev',
        '/dev/shm tmpfs nosuid,noexec,nodev,mode=1777,size=65536k',
      ],
    );
    assert.deepEqual(Linux?.Namespaces, [{ Type: 'mount' }, { Type: 'ipc' }, { Type: 'uts' }]);
    assert.deepEqual(Linux?.Resources, { Devices: [{ Allow: false, Type: 'a', Access: 'rwm' }] });
    assert.ok(Linux?.MaskedPaths?.includes('/proc/kcore') && Linux.ReadonlyPaths?.includes('/proc/sys'));
    assert.deepEqual(Process, {
      Terminal: false,
      User: { UID: 0, GID: 0, AdditionalGids: [] },
      Args: ['true'],
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'],
      Cwd: '/',
      Capabilities: {
        Bounding: [...DEFAULT_CAPABILITIES],
        Effective: [...DEFAULT_CAPABILITIES],
        Permitted: [...DEFAULT_CAPABILITIES],
        Inheritable: [],
        Ambient: [],
      },
      Rlimits: [{ Type: 'RLIMIT_NOFILE', Hard: 524288n, Soft: 1024n }],
      NoNewPrivileges: false,
    });
  });

  it('carries limits as 64-bit numbers, exact on the wire', () => {
    const memoryBytes = (1n << 53n) + 1n;
    const spec = defaultSpec({ ...root, args: ['true'], memoryBytes, cpuQuotaUs: 150_000, pidsLimit: 64 });
    const decoded = grpc.Spec.decode(grpc.Spec.encode(spec).finish());
    assert.equal(decoded.Linux?.Resources?.Memory?.Limit, memoryBytes);
    assert.equal(decoded.Linux?.Resources?.CPU?.Quota, 150_000n);
    assert.equal(decoded.Linux?.Resources?.CPU?.Period, 100_000n);
    assert.equal(decoded.Linux?.Resources?.Pids?.Limit, 64n);
  });
});

describe('the process of a spec', () => {
  it('takes what the user sets over the defaults, and the later of two', () => {
    const { Env } = defaultProcess({ args: ['sh'], tty: true, env: ['HOME=/x', 'A=1', 'A=2=3', 'TERM=dumb'] });
    assert.deepEqual(Env?.slice(1), ['TERM=dumb', 'HOME=/x', 'A=2=3']);
  });

  it('has a terminal of the size given', () => {
    const { Terminal, ConsoleSize, Env } = defaultProcess({ args: ['sh'], tty: true, size: { rows: 24, columns: 80 } });
    assert.deepEqual([Terminal, ConsoleSize], [true, { Height: 24, Width: 80 }]);
    assert.ok(Env?.includes('TERM=xterm'));
  });

  it('has no effective capability when the user is not root, and no HOME but that of its passwd entry', () => {
    const process = defaultProcess({ args: ['sh'], user: { uid: 1000, gid: 1000, additionalGids: [5] } });
    assert.deepEqual([process.Capabilities?.Effective, process.Capabilities?.Permitted], [[], []]);
    assert.deepEqual(process.Capabilities?.Bounding, [...DEFAULT_CAPABILITIES]);
    assert.ok(!process.Env?.some((entry) => entry.startsWith('HOME=')));
  });
});
