import assert from 'node:assert/strict';
import fc from 'fast-check';
import { translatePciEnv } from '../../../../agent/container/device/pci-env.ts';
import { hasCode } from '../../../../agent/errors.ts';

const GUEST = new Map([
  ['0000:1a:01.0', '0000:01:01.0'],
  ['0000:1b:02.1', '0000:1a:01.0'],
]);

describe('variables that name PCI devices', () => {
  it("get the guest's addresses, in their order", () => {
    assert.deepEqual(translatePciEnv(['A=b', 'PCIDEVICE_x_nic=0000:1B:02.1,0000:1a:01.0'], GUEST), [
      'A=b',
      'PCIDEVICE_x_nic=0000:1a:01.0,0000:01:01.0',
    ]);
  });

  it('get them within their JSON too, each address once', () => {
    const info = (one: string, two: string) => `PCIDEVICE_x_nic_INFO={"${one}":{"pci":"${one}"},"${two}":{"n":"x${two}0"}}`;
    assert.deepEqual(translatePciEnv([info('0000:1a:01.0', '0000:1b:02.1')], GUEST), [
      'PCIDEVICE_x_nic_INFO={"0000:01:01.0":{"pci":"0000:01:01.0"},"0000:1a:01.0":{"n":"x0000:1b:02.10"}}',
    ]);
  });

  it('are left alone where they hold something else, and in a container without such devices', () => {
    for (const entry of ['PCIDEVICE_x=eth0', 'PCIDEVICE_x=', 'PCIDEVICE_x', 'NOT_PCIDEVICE_x=0000:1a:01.0', '=PCIDEVICE_x']) {
      assert.deepEqual(translatePciEnv([entry], GUEST), [entry]);
    }
    assert.deepEqual(translatePciEnv(['PCIDEVICE_x=0000:1a:01.0'], new Map()), ['PCIDEVICE_x=0000:1a:01.0']);
  });

  it('that name a device the container was not given are refused', () => {
    assert.throws(
      () => translatePciEnv(['PCIDEVICE_x=0000:1a:01.0,0000:ff:01.0'], GUEST),
      (error) => hasCode(error, 'invalid_argument') && /PCIDEVICE_x.*0000:ff:01\.0/.test(error.message),
    );
  });

  it('are all that changes, whatever the environment', () => {
    fc.assert(
      fc.property(fc.array(fc.string().filter((entry) => !entry.startsWith('PCIDEVICE_'))), (env) => {
        assert.deepEqual(translatePciEnv(env, GUEST), env);
      }),
    );
  });
});
