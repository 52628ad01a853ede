import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../../../../agent/errors.ts';
import { dial } from '../../../../agent/transport/dial.ts';
import { statesOf } from '../../../../agent/transport/serial/dial.ts';
import { native } from '../../../../native/index.ts';

describe('dialling a serial port', () => {
  let folder: string;
  let path: string;
  const fds: number[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-port-'));
    path = join(folder, 'port.sock');
    fds.push(native().unixListen(path, 8));
  });

  afterEach(async () => {
    for (const fd of fds.splice(0)) native().close(fd);
    await rm(folder, { recursive: true, force: true });
  });

  it('says so when the hypervisor has taken another client and lets this one wait', async () => {
    const holder = net.connect(path).on('error', () => {});
    await once(holder, 'connect');
    fds.push(native().unixAccept(fds[0]!));
    await assert.rejects(dial({ kind: 'serial', path }), (error) => {
      assert.ok(hasCode(error, 'resource_exhausted'), String(error));
      assert.match(error.message, /serial:.*port\.sock: another client is connected/);
      return true;
    });
    holder.destroy();
  });

  it('does not take a guest that does not answer for another client', async () => {
    const dialling = dial({ kind: 'serial', path }, { timeoutMs: 3_000 });
    const accepted = new Promise<void>((resolve) => setTimeout(() => resolve(void fds.push(native().unixAccept(fds[0]!))), 200));
    await accepted;
    await assert.rejects(dialling, (error) => hasCode(error, 'deadline_exceeded') && /no agent answers/.test(error.message));
  });
});

describe('the connections of a Unix socket, as the kernel lists them', () => {
  const table = [
    'Num       RefCount Protocol Flags    Type St Inode Path',
    '0000000000000000: 00000002 00000000 00010000 0001 01 1146041 /r/my port',
    '0000000000000000: 00000003 00000000 00000000 0001 03   46042 /r/my port',
    '0000000000000000: 00000003 00000000 00000000 0001 02     0 /r/my port',
    '0000000000000000: 00000003 00000000 00000000 0001 03 1146044 /other/r/my port',
    '0000000000000000: 00000003 00000000 00000000 0001 03 1146045',
    '0000000000000000: 00000003 00000000 00000000 0001 03 1146046 @abstract',
  ].join('\n');

  it('are told by their state, for that path alone', () => {
    assert.deepEqual(statesOf('/r/my port', table), ['01', '03', '02']);
    assert.deepEqual(statesOf('port', table), []);
    assert.deepEqual(statesOf('\0abstract', table), ['03']);
  });
});
