import assert from 'node:assert/strict';
import { type PlacedDevice, withDevices } from '../../../../agent/container/device/spec-devices.ts';
import { prepareDeviceRules, prepareDevices } from '../../../../agent/container/spec/devices.ts';
import type { DeviceRuleSpec } from '../../../../agent/container/spec/resources.ts';
import type { DeviceSpec, RuntimeSpec } from '../../../../agent/container/spec/types.ts';
import { hasCode } from '../../../../agent/errors.ts';

const listed = (path: string, major: number, minor: number, type: DeviceSpec['type'] = 'b'): DeviceSpec => ({
  path,
  type,
  major,
  minor,
  fileMode: 0o640,
  uid: 1,
  gid: 2,
});
const allow = (major: number, minor: number | undefined, access = 'rwm', type: 'b' | 'c' = 'b'): DeviceRuleSpec => ({
  allow: true,
  type,
  major,
  minor,
  access,
});
const at = (containerPath: string, major: number, minor: number, more: object = {}): PlacedDevice => ({
  containerPath,
  node: { type: 'b', major, minor, ...more },
});

function spec(devices?: DeviceSpec[], rules?: DeviceRuleSpec[]): RuntimeSpec {
  return {
    ociVersion: '1.2.0',
    process: { user: { uid: 0, gid: 0 }, args: [], env: [], cwd: '/', oomScoreAdj: 0 },
    root: { path: '/' },
    mounts: [],
    linux: { namespaces: [], devices, resources: rules === undefined ? undefined : { devices: rules, pids: { limit: 5n } } },
  };
}

describe("a spec that gets the guest's numbers for its devices", () => {
  it('is as it was without devices', () => {
    const asked = spec();
    assert.equal(withDevices(asked, []), asked);
  });

  it('has the numbers of the guest in its list, and all else of the entry', () => {
    const { linux } = withDevices(spec([listed('/dev/xda', 8, 0), listed('/dev/fuse', 10, 229, 'c')]), [at('/dev/xda', 254, 48)]);
    assert.deepEqual(linux.devices, [listed('/dev/xda', 254, 48), listed('/dev/fuse', 10, 229, 'c')]);
  });

  it('has them in the rules that speak of the device, whatever other devices have the numbers now', () => {
    const devices = [listed('/dev/a', 8, 0), listed('/dev/b', 8, 16)];
    const rules = [allow(8, 0, 'r'), allow(8, 16, 'rw'), allow(8, 32), allow(1, 3, 'rwm', 'c')];
    const { linux } = withDevices(spec(devices, rules), [at('/dev/a', 8, 16), at('/dev/b', 254, 0)]);
    assert.deepEqual(linux.resources?.devices, [allow(8, 16, 'r'), allow(254, 0, 'rw'), allow(8, 32), allow(1, 3, 'rwm', 'c')]);
    assert.equal(linux.resources?.pids?.limit, 5n);
  });

  it('takes a rule without a minor number to speak of a listed device 0, which looks the same on the wire', () => {
    const { linux } = withDevices(spec([listed('/dev/a', 8, 0)], [allow(8, undefined, 'r')]), [at('/dev/a', 254, 7)]);
    assert.deepEqual(linux.resources?.devices, [allow(254, 7, 'r')]);
  });

  it('tells a character device from a block device of the same number', () => {
    const devices = [listed('/dev/c', 99, 9, 'c'), listed('/dev/b', 99, 9)];
    const rules = [allow(99, 9, 'r', 'c'), allow(99, 9, 'w')];
    const { linux } = withDevices(spec(devices, rules), [at('/dev/b', 254, 1), at('/dev/c', 10, 2, { type: 'c' })]);
    assert.deepEqual(linux.resources?.devices, [allow(10, 2, 'r', 'c'), allow(254, 1, 'w')]);
  });

  it('has a VFIO group where VFIO wants it', () => {
    const { linux } = withDevices(spec([listed('/dev/vfio/host', 8, 0)]), [
      { containerPath: '/dev/vfio/host', node: { type: 'c', major: 240, minor: 1, path: '/dev/vfio/3' } },
    ]);
    assert.deepEqual(linux.devices, [listed('/dev/vfio/3', 240, 1, 'c')]);
  });

  it('opens a device that no rule speaks of, and no other, once it is prepared', () => {
    const { linux } = withDevices(spec([listed('/dev/a', 8, 0)]), [at('/dev/a', 254, 48)]);
    const nodes = prepareDevices(linux.devices);
    assert.deepEqual(
      prepareDeviceRules(linux.resources?.devices, nodes, () => {}),
      [{ allow: false, type: 'a', access: 'rwm' }, allow(254, 48)],
    );
  });

  it('leaves to the rules of the host how far a device is open', () => {
    const { linux } = withDevices(spec([listed('/dev/a', 8, 0)], [allow(8, 0, 'r')]), [at('/dev/a', 254, 48)]);
    const rules = prepareDeviceRules(linux.resources?.devices, prepareDevices(linux.devices), () => {});
    assert.deepEqual(rules.slice(1), [allow(254, 48, 'r')]);
  });

  const refused = (field: string, text: string) => (error: unknown) =>
    hasCode(error, 'invalid_argument') && error.fields['field'] === field && error.message.includes(text);

  it('that does not list a device is refused', () => {
    const text = 'Missing devices in OCI spec: /dev/b';
    assert.throws(() => withDevices(spec([listed('/dev/a', 8, 0)]), [at('/dev/b', 1, 1)]), refused('linux.devices', text));
    assert.throws(() => withDevices(spec(), [at('/dev/b', 1, 1)]), refused('linux.devices', text));
  });

  it('that gives one path to two devices is refused', () => {
    assert.throws(
      () => withDevices(spec([listed('/dev/a', 8, 0)]), [at('/dev/a', 1, 1), at('/dev//a', 1, 2)]),
      refused('devices', 'Conflicting device updates for /dev/a'),
    );
  });

  it('whose rule could mean either of two devices is refused', () => {
    const devices = [listed('/dev/a', 8, 0), listed('/dev/b', 8, 0)];
    assert.throws(
      () => withDevices(spec(devices, [allow(8, 0)]), [at('/dev/a', 1, 1), at('/dev/b', 1, 2)]),
      refused('linux.resources.devices[0]', 'host_major=8 host_minor=0'),
    );
  });
});
