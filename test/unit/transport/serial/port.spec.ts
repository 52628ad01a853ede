import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { hasCode } from '../../../../agent/errors.ts';
import { findPort, openPort, portWithoutVsock } from '../../../../agent/transport/serial/port.ts';

const PORT = 'org.berth.agent.0';

describe('the port of a guest', () => {
  let sys: string;

  beforeEach(async () => {
    sys = await mkdtemp(join(tmpdir(), 'berth-ports-'));
  });

  afterEach(() => rm(sys, { recursive: true, force: true }));

  const has = async (files: Record<string, string>) => {
    for (const [file, text] of Object.entries(files)) {
      await mkdir(dirname(join(sys, file)), { recursive: true });
      await writeFile(join(sys, file), `${text}\n`);
    }
  };
  const PORTS = { 'class/virtio-ports/vport1p0/name': '', 'class/virtio-ports/vport1p1/name': PORT };
  const UART = { 'class/tty/ttyS1/type': '4', 'class/tty/console/active': 'tty0 ttyS0' };

  it('is found by its name without the links of udev, or given by its path', async () => {
    await has(PORTS);
    assert.equal(await findPort({ kind: 'serial', path: PORT }, sys), '/dev/vport1p1');
    assert.equal(await findPort({ kind: 'serial', path: '/dev/virtio-ports/x' }, sys), '/dev/virtio-ports/x');
  });

  it('is missed by a name nobody gave, and the names there are are told', async () => {
    const missing = () => findPort({ kind: 'serial', path: 'other' }, sys);
    await assert.rejects(missing(), (error) => hasCode(error, 'not_found') && /there is none/.test(error.message));
    await has(PORTS);
    await assert.rejects(missing(), (error) => hasCode(error, 'not_found') && error.message.includes(PORT));
  });

  it('takes the place of vsock: the virtio port first, the second UART as the last resort', async () => {
    assert.equal(await portWithoutVsock(undefined, sys), undefined);
    await has(UART);
    assert.deepEqual(await portWithoutVsock(undefined, sys), { kind: 'serial', path: '/dev/ttyS1' });
    await has(PORTS);
    assert.deepEqual(await portWithoutVsock(undefined, sys), { kind: 'serial', path: PORT });
  });

  it('is no UART that is not there, nor the console', async () => {
    await has({ ...UART, 'class/tty/ttyS1/type': '0' });
    assert.equal(await portWithoutVsock(undefined, sys), undefined);
    await has({ ...UART, 'class/tty/console/active': 'ttyS1' });
    assert.equal(await portWithoutVsock(undefined, sys), undefined);
  });

  it('is beside the one that is configured, and never the same, nor a UART that nobody asked for', async () => {
    await has({ ...PORTS, ...UART });
    assert.deepEqual(await portWithoutVsock('/dev/ttyS1', sys), { kind: 'serial', path: PORT });
    assert.equal(await portWithoutVsock(PORT, sys), undefined);
    await rm(join(sys, 'class/virtio-ports'), { recursive: true });
    assert.equal(await portWithoutVsock('other', sys), undefined);
  });

  it('that is not there is named in the error', async () => {
    await assert.rejects(openPort('/dev/none'), (error) => hasCode(error, 'not_found') && error.message.includes('/dev/none'));
  });
});
