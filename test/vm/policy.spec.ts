// The policy of a booted guest, read from a disk that holds its text; and a guest whose policy can't be used.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentError } from '../../agent/errors.ts';
import type { AgentClient } from '../../client/kata/agent-client.ts';
import { connectKata } from '../../client/kata/connect.ts';
import { createContainer, type KataContainer } from '../../client/kata/container.ts';
import { bootGuest } from '../../client/vm/boot.ts';
import { imageFolder } from '../../client/vm/options.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest, type TestGuest } from '../support/guest.ts';
import { guestResources } from '../support/guest-resources.ts';

type LogRecord = Record<string, unknown>;

const POLICY = `
version = 1
default = "allow"

[[deny]]
name = "no exec in the database"
rpcs = ["ExecProcess"]
containers = ["db-*"]

[[require]]
name = "files only where containers share them"
rpcs = ["CopyFile"]
paths = ["/run/kata-containers/shared/containers/pod-*/**"]

[[deny]]
name = "nobody reads the database's output"
rpcs = ["ReadStdout"]
containers = ["db-*"]
`;
const DENIED = 'ExecProcessRequest is blocked by policy: rule "no exec in the database" denies it';

async function refusal(promise: Promise<unknown>): Promise<AgentError> {
  const error = await promise.then(
    () => assert.fail('the call succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AgentError, String(error));
  return error;
}

describe('a guest with a policy', function () {
  this.timeout(BOOT_TIMEOUT_MS);
  let folder: string;
  let guest: TestGuest;
  let client: AgentClient;
  const lines: LogRecord[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-policy-'));
    const disk = join(folder, 'policy.img');
    await writeFile(disk, POLICY.padEnd(4096, '\n'));
    const image = (name: string) => ({ path: join(imageFolder(), `${name}.erofs`), readonly: true, serial: name });
    guest = await bootTestGuest({
      disks: [image('busybox'), image('debian'), { path: disk, readonly: true, serial: 'policy' }],
      cmdline: ['berth.policy_file=/dev/vdd'],
      onLog: (record) => lines.push(record),
    });
    client = await guest.connect('ttrpc');
    // The first container to go leaves the agent with a descriptor that it keeps.
    await guestResources(guest);
  });

  after(async () => {
    await client?.close();
    await guest?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const container = async (id: string, args = ['sleep', 'inf']): Promise<KataContainer> => {
    const made = await createContainer(client.kata, { id, args, rootfs: guest.busybox });
    await made.start();
    return made;
  };

  for (const protocol of ['ttrpc', 'grpc'] as const) {
    it(`denies an exec in one container over ${protocol}, with Kata's code and text, and leaves nothing behind`, async () => {
      await using db = await disposable(container('db-1'));
      await using web = await disposable(container('web-1'));
      await using caller = await guest.connect(protocol);
      const refuse = () =>
        refusal(caller.kata.execProcess({ containerId: db.it.id, execId: 'e1', process: { Args: ['id'], Cwd: '/' } }));
      const error = await refuse();
      assert.deepEqual([error.code, error.message], ['permission_denied', DENIED]);
      assert.match((await refusal(caller.kata.waitProcess({ containerId: db.it.id, execId: 'e1' }))).code, /not_found/);
      const before = await guestResources(guest);
      for (let time = 0; time < 20; time++) await refuse();
      assert.deepEqual(await guestResources(guest), before);

      const { stdout, exitCode } = await (await web.it.exec({ args: ['echo', 'hi'] })).collect();
      assert.deepEqual([exitCode, stdout.toString()], [0, 'hi\n']);
    });
  }

  it('writes each refusal into its log, with rule, method, client and container', () => {
    const line = lines.find(({ msg, rule }) => msg === 'call denied by policy' && rule === 'no exec in the database');
    assert.ok(line, 'no such line');
    assert.deepEqual(
      { level: line['level'], method: line['method'], container: line['container'], subsystem: line['subsystem'] },
      { level: 'WARN', method: '/grpc.AgentService/ExecProcess', container: 'db-1', subsystem: 'policy' },
    );
    assert.match(String(line['client']), /^c\d+$/);
    assert.match(String(line['peer']), /^vsock:2:/);
    assert.ok(lines.some(({ msg, rules }) => msg === 'policy in force' && String(rules) === '3'));
  });

  it('names the path of a file that may not be copied', async () => {
    const path = '/run/kata-containers/shared/containers/pod-1/../other/file';
    const copy = { path, fileSize: 1n, fileMode: 0o100644, dirMode: 0o755, data: Buffer.from('x') };
    const error = await refusal(client.kata.copyFile(copy));
    assert.equal(error.code, 'permission_denied');
    assert.equal(
      error.message,
      `CopyFileRequest is blocked by policy: rule "files only where containers share them" requires otherwise: path is ${JSON.stringify(path)}`,
    );
    await client.kata.copyFile({ ...copy, path: '/run/kata-containers/shared/containers/pod-1/file' });
  });

  it('that hides the output of a container answers its end, and the container goes on meanwhile', async () => {
    await using db = await disposable(container('db-2', ['sh', '-c', 'head -c 3000000 /dev/zero; exit 7']));
    const [read, { status }] = await Promise.all([
      client.kata.readStdout({ containerId: db.it.id, len: 65536 }),
      client.kata.waitProcess({ containerId: db.it.id, execId: '' }),
    ]);
    assert.deepEqual([read.data.length, status], [0, 7]);
  });
});

describe('a guest whose policy can not be used', function () {
  this.timeout(BOOT_TIMEOUT_MS);

  it('answers health and nothing else, and says why to the client and in its log', async () => {
    const lines: LogRecord[] = [];
    const guest = await bootGuest({
      cmdline: ['berth.policy_file=/absent.toml'],
      timeoutMs: BOOT_TIMEOUT_MS,
      onLog: (record) => lines.push(record),
    });
    try {
      for (const protocol of ['ttrpc', 'grpc'] as const) {
        await using client = await connectKata(guest.address, { protocol, timeoutMs: 60_000 });
        assert.ok(await client.version());
        const error = await refusal(client.kata.createSandbox({ sandboxId: 'x' }));
        assert.equal(error.code, 'permission_denied');
        assert.match(
          error.message,
          /^CreateSandboxRequest is blocked by policy: the policy file \/absent\.toml can't be used: ENOENT/,
        );
      }
      assert.ok(lines.some(({ level, msg }) => level === 'ERRO' && /^policy can not be used: every call/.test(String(msg))));
    } finally {
      await guest.stop();
    }
  });
});

async function disposable(made: Promise<KataContainer>) {
  const it = await made;
  return { it, [Symbol.asyncDispose]: () => it.remove() };
}
