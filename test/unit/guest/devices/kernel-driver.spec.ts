import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentError, hasCode } from '../../../../agent/errors.ts';
import { loadDriver, loadModules } from '../../../../agent/guest/devices/kernel-driver.ts';

describe('drivers for plugged hardware', () => {
  let device: string;
  let asked: string[][];
  let outcome: () => void;
  const run = async (file: string, args: readonly string[]) => {
    asked.push([file, ...args]);
    outcome();
    return { stdout: '', stderr: '' };
  };

  beforeEach(async () => {
    device = await mkdtemp(join(tmpdir(), 'berth-driver-'));
    asked = [];
    outcome = () => {};
  });
  afterEach(() => rm(device, { recursive: true }));

  it('are asked for by what the device says it is', async () => {
    await writeFile(join(device, 'modalias'), 'pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00\n');
    await loadDriver(device, run);
    assert.deepEqual(asked, [['modprobe', '-q', '--', 'pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00']]);
  });

  it('are not asked for where there is one, or nothing is said', async () => {
    await loadDriver(device, run);
    await writeFile(join(device, 'modalias'), 'pci:x\n');
    await mkdir(join(device, 'driver'));
    await loadDriver(device, run);
    assert.deepEqual(asked, []);
  });

  it('are never asked for by words that mean something to modprobe', async () => {
    await writeFile(join(device, 'modalias'), '/etc/x y=z\n');
    await loadDriver(device, run);
    assert.deepEqual(asked, []);
  });

  it('are loaded by name where they are not loaded yet', async () => {
    await mkdir(join(device, 'module/vfio_pci'), { recursive: true });
    await loadModules(['vfio-pci', 'sd_mod'], device, run);
    assert.deepEqual(asked, [['modprobe', '-q', '--', 'sd_mod']]);
  });

  it('that are not to be had are no error, but a modprobe that hangs is', async () => {
    outcome = () => {
      throw new AgentError('internal', 'exit code 1');
    };
    await loadModules(['none'], device, run);
    outcome = () => {
      throw new AgentError('deadline_exceeded', 'took longer');
    };
    await assert.rejects(loadModules(['none'], device, run), (error) => hasCode(error, 'deadline_exceeded'));
  });
});
