import assert from 'node:assert/strict';
import { hasCode } from '../../../../agent/errors.ts';
import { decide, type MachineFindings, probeMachine, wishFromEnvironment } from '../../../../client/vm/machine.ts';

const yes = { usable: true, reason: 'opens' };
const no = { usable: false, reason: 'ENOENT' };
const full: MachineFindings = { qemu: '/q', vhostDeviceVsock: '/v', virtiofsd: '/f', vhostVsock: yes, kvm: yes };

describe('the choice of a way to boot', () => {
  const table: [string, Partial<MachineFindings>, { way: string; accel: string; mayFallBack: boolean }][] = [
    ['takes the kernel device and KVM where both open', {}, { way: 'direct', accel: 'kvm', mayFallBack: true }],
    [
      'takes the device process without the kernel device',
      { vhostVsock: no },
      { way: 'vhost-user', accel: 'kvm', mayFallBack: true },
    ],
    ['emulates where KVM does not open', { kvm: no }, { way: 'direct', accel: 'tcg', mayFallBack: false }],
    [
      'emulates where an earlier guest stayed silent under KVM',
      { kvmVerdict: { works: false, reason: 'silent' } },
      { way: 'direct', accel: 'tcg', mayFallBack: false },
    ],
    [
      'trusts KVM for good once a guest has run under it',
      { kvmVerdict: { works: true, reason: 'ran' } },
      { way: 'direct', accel: 'kvm', mayFallBack: false },
    ],
    ['needs no virtiofsd', { virtiofsd: undefined }, { way: 'direct', accel: 'kvm', mayFallBack: true }],
  ];
  for (const [title, findings, expected] of table) {
    it(title, () => {
      const { reasons, ...decision } = decide({ ...full, ...findings });
      assert.deepEqual(decision, expected);
      assert.equal(reasons.length, 2, 'one reason for the way, one for the accelerator');
    });
  }

  it('does as it is told, and then never falls back', () => {
    const { way, accel, mayFallBack } = decide(full, { way: 'vhost-user', accel: 'tcg' });
    assert.deepEqual({ way, accel, mayFallBack }, { way: 'vhost-user', accel: 'tcg', mayFallBack: false });
    const kvm = decide({ ...full, kvmVerdict: { works: false, reason: 'silent' } }, { accel: 'kvm' });
    assert.deepEqual([kvm.accel, kvm.mayFallBack], ['kvm', false]);
  });

  const refusals: [string, Partial<MachineFindings>, Parameters<typeof decide>[1], RegExp][] = [
    ['QEMU is missing', { qemu: undefined }, {}, /QEMU.*package qemu-system-x86/],
    ['there is no vsock at all', { vhostVsock: no, vhostDeviceVsock: undefined }, {}, /ENOENT.*package vhost-device-vsock/],
    ['the kernel device is asked for and absent', { vhostVsock: no }, { way: 'direct' }, /vhost-vsock was asked for: ENOENT/],
    ['the device process is asked for and absent', { vhostDeviceVsock: undefined }, { way: 'vhost-user' }, /vhost-device-vsock/],
    ['KVM is asked for and absent', { kvm: no }, { accel: 'kvm' }, /KVM was asked for: ENOENT/],
  ];
  for (const [when, findings, wish, text] of refusals) {
    it(`is refused with what to do when ${when}`, () => {
      assert.throws(
        () => decide({ ...full, ...findings }, wish),
        (error) => hasCode(error, 'failed_precondition') && text.test(error.message),
      );
    });
  }
});

describe('the wish in the environment', () => {
  it('may be a serial port, which needs nothing of the machine', () => {
    const wish = wishFromEnvironment({ BERTH_VM_WAY: 'serial' });
    const { way } = decide({ ...full, vhostVsock: no, vhostDeviceVsock: undefined }, wish);
    assert.equal(way, 'serial');
  });

  it('is read from BERTH_VM_WAY and BERTH_VM_ACCEL', () => {
    assert.deepEqual(wishFromEnvironment({ BERTH_VM_WAY: 'direct', BERTH_VM_ACCEL: 'kvm' }), { way: 'direct', accel: 'kvm' });
    assert.deepEqual(wishFromEnvironment({ BERTH_VM_WAY: '' }), { way: undefined, accel: undefined });
  });

  for (const [name, value] of [
    ['BERTH_VM_WAY', 'fast'],
    ['BERTH_VM_ACCEL', 'hvf'],
  ] as const) {
    it(`is refused for an unknown ${name}, which is named`, () => {
      assert.throws(
        () => wishFromEnvironment({ [name]: value }),
        (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === name,
      );
    });
  }

  it('cannot be the emulated host, which is around a process and not below it', () => {
    assert.throws(
      () => wishFromEnvironment({ BERTH_VM_WAY: 'emulated' }),
      (error) => hasCode(error, 'failed_precondition'),
    );
  });
});

describe('the findings on this machine', () => {
  it('say of each device whether it opens and why not', () => {
    const { kvm, vhostVsock } = probeMachine();
    for (const finding of [kvm, vhostVsock]) assert.match(finding.reason, /^\/dev\/[\w-]+(: E[A-Z]+ \(| opens)/);
  });
});
