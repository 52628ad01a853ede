import assert from 'node:assert/strict';
import type { Finding } from '../../../../client/doctor/finding.ts';
import { checkHost, type HostCheckOptions } from '../../../../client/doctor/host-checks.ts';
import { type Machine, machine, systemOf } from './simulated-system.ts';

const check = (it: Machine, options: Partial<HostCheckOptions> = {}, ran?: string[]) =>
  checkHost(systemOf(it, ran), { imageFolder: '/image', ...options });

function one(findings: readonly Finding[], id: string): Finding {
  const found = findings.filter((finding) => finding.id === id);
  assert.equal(found.length, 1, `${id} in ${JSON.stringify(findings)}`);
  return found[0]!;
}

interface Case {
  title: string;
  it: Machine;
  id: string;
  status: Finding['status'];
  found: RegExp;
  remedy?: RegExp;
}

const withoutModule: Machine = { loaded: [], devices: { '/dev/kvm': 'opens' } };
const noOtherWay = { tools: ['qemu-system-x86_64'] };

const cases: Case[] = [
  {
    title: 'a kernel older than vhost_vsock',
    it: { release: '4.7.10' },
    id: 'kernel',
    status: 'problem',
    found: /4\.7\.10 is older than 4\.8/,
    remedy: /newer kernel/,
  },
  { title: 'the first kernel that has it', it: { release: '4.8.0' }, id: 'kernel', status: 'ok', found: /4\.8\.0/ },
  {
    title: 'another architecture',
    it: { architecture: 'arm64' },
    id: 'architecture',
    status: 'problem',
    found: /arm64/,
    remedy: /x86-64/,
  },
  {
    title: 'a module that is built in',
    it: { loaded: [], builtIn: ['vhost_vsock'] },
    id: 'vhost-vsock-module',
    status: 'ok',
    found: /built in/,
  },
  {
    title: 'a module on disk, with the other way at hand',
    it: { ...withoutModule, onDisk: ['vhost-vsock'] },
    id: 'vhost-vsock-module',
    status: 'warning',
    found: /not loaded/,
    remedy: /modprobe vhost_vsock/,
  },
  {
    title: 'a module on disk and no other way',
    it: { ...withoutModule, ...noOtherWay, onDisk: ['vhost_vsock'] },
    id: 'vhost-vsock-module',
    status: 'problem',
    found: /not loaded/,
    remedy: /berth doctor --load/,
  },
  {
    title: 'a kernel without the module and no other way',
    it: { ...withoutModule, ...noOtherWay },
    id: 'vhost-vsock-module',
    status: 'problem',
    found: /no vhost_vsock/,
    remedy: /CONFIG_VHOST_VSOCK[\s\S]*vhost-device-vsock/,
  },
  {
    title: "VMware's transport in the way",
    it: { ...withoutModule, loaded: ['vmw_vsock_vmci_transport'], onDisk: ['vhost_vsock'] },
    id: 'vmware-transport',
    status: 'problem',
    found: /vmw_vsock_vmci_transport/,
    remedy: /stop open-vm-tools[\s\S]*modprobe -r vmw_vsock_vmci_transport[\s\S]*modprobe vhost_vsock/,
  },
  {
    title: "VMware's transport beside a loaded vhost_vsock",
    it: { loaded: ['vhost_vsock', 'vmw_vsock_vmci_transport'] },
    id: 'vmware-transport',
    status: 'note',
    found: /not in the way/,
  },
  {
    title: "a vsock device of another user's",
    it: { devices: { '/dev/vhost-vsock': 'EACCES', '/dev/kvm': 'opens' } },
    id: 'vhost-vsock-device',
    status: 'warning',
    found: /not ann's to open/,
    remedy: /setfacl -m u:ann:rw \/dev\/vhost-vsock/,
  },
  {
    title: 'a vsock device that a container was not given',
    it: { devices: {}, ...noOtherWay },
    id: 'vhost-vsock-device',
    status: 'problem',
    found: /missing/,
    remedy: /--device \/dev\/vhost-vsock/,
  },
  {
    title: "a KVM of another user's",
    it: { devices: { '/dev/kvm': 'EACCES' } },
    id: 'kvm',
    status: 'warning',
    found: /EACCES/,
    remedy: /usermod -aG kvm ann/,
  },
  { title: 'no virtualisation', it: { devices: {} }, id: 'kvm', status: 'warning', found: /ENOENT/, remedy: /VT-x or AMD-V/ },
  {
    title: 'a KVM that opens and runs no guest',
    it: {
      answers: { 'qemu-system-x86_64': (args) => (args.includes('-bios') ? { code: undefined } : { stdout: 'version 8.0' }) },
    },
    id: 'kvm',
    status: 'warning',
    found: /opens, but a guest under kvm did nothing/,
    remedy: /nested virtualisation/,
  },
  {
    title: 'a KVM of which QEMU complains',
    it: {
      answers: {
        'qemu-system-x86_64': (args) => (args.includes('-bios') ? { code: 1, stderr: 'failed to initialize kvm\nmore\n' } : {}),
      },
    },
    id: 'kvm',
    status: 'warning',
    found: /but failed to initialize kvm;/,
  },
  {
    title: 'a host without QEMU',
    it: { tools: [] },
    id: 'qemu',
    status: 'problem',
    found: /not installed/,
    remedy: /apt install qemu-system-x86/,
  },
  {
    title: 'a QEMU built without the device',
    it: { answers: { 'qemu-system-x86_64': (args) => (args.includes('-bios') ? { code: 85 } : { stdout: 'version 9' }) } },
    id: 'qemu-vsock-device',
    status: 'problem',
    found: /no vhost-vsock-pci/,
    remedy: /apt install/,
  },
  {
    title: 'an image that was not built',
    it: { files: ['/image/vmlinuz'] },
    id: 'image',
    status: 'problem',
    found: /no root\.erofs/,
    remedy: /npm run build/,
  },
  {
    title: 'neither way',
    it: { ...withoutModule, ...noOtherWay },
    id: 'way',
    status: 'problem',
    found: /no guest can be booted/,
  },
  { title: 'the other way', it: withoutModule, id: 'way', status: 'ok', found: /^vhost-user, kvm/ },
];

describe('the doctor of a host', () => {
  it('finds nothing to do where all is well, and says which way would be taken', async () => {
    const findings = await check(machine());
    assert.deepEqual(
      findings.filter(({ status }) => status !== 'ok'),
      [],
    );
    assert.match(one(findings, 'way').found, /^direct, kvm \(direct: \/dev\/vhost-vsock opens; kvm:/);
  });

  for (const { title, it: different, id, status, found, remedy } of cases) {
    it(`sees ${title}`, async () => {
      const finding = one(await check(machine(different)), id);
      assert.equal(finding.status, status, finding.found);
      assert.match(finding.found, found);
      if (remedy) assert.match(finding.remedy.join('\n'), remedy);
    });
  }

  it('has a remedy for every warning and every problem', async () => {
    for (const { it: different } of cases) {
      for (const finding of await check(machine(different))) {
        const needsOne = finding.status === 'warning' || finding.status === 'problem';
        assert.equal(finding.remedy.length > 0, needsOne, JSON.stringify(finding));
      }
    }
  });

  it('takes the wish for a way into account', async () => {
    const findings = await check(machine(), { env: { BERTH_VM_WAY: 'vhost-user', BERTH_VM_ACCEL: 'tcg' } });
    assert.match(one(findings, 'way').found, /^vhost-user, tcg/);
  });

  describe('asked to load vhost_vsock', () => {
    const loadable = (uid: number): Machine =>
      machine({
        ...withoutModule,
        uid,
        onDisk: ['vhost_vsock'],
        answers: {
          modprobe: (_, it) => {
            it.loaded = ['vhost_vsock'];
            it.devices = { ...it.devices, '/dev/vhost-vsock': 'opens' };
            return {};
          },
        },
      });

    for (const [who, uid, command] of [
      ['root', 0, 'modprobe vhost_vsock'],
      ['another user, by sudo that does not ask', 1000, 'sudo -n modprobe vhost_vsock'],
    ] as const) {
      it(`does so as ${who}`, async () => {
        const ran: string[] = [];
        const findings = await check(loadable(uid), { load: true }, ran);
        assert.deepEqual(
          ran.filter((line) => line.includes('modprobe')),
          [command],
        );
        assert.equal(one(findings, 'vhost-vsock-module').status, 'ok');
        assert.match(one(findings, 'way').found, /^direct/);
      });
    }

    it('tells why it could not', async () => {
      const answers = {
        modprobe: () => ({ code: 1, stderr: "modprobe: ERROR: could not insert 'vhost_vsock': Device or resource busy\n" }),
      };
      const finding = one(
        await check(machine({ ...withoutModule, onDisk: ['vhost_vsock'], answers }), { load: true }),
        'vhost-vsock-module',
      );
      assert.equal(finding.status, 'problem');
      assert.match(finding.found, /resource busy/);
    });

    it('leaves one that is there alone', async () => {
      const ran: string[] = [];
      await check(machine(), { load: true }, ran);
      assert.deepEqual(
        ran.filter((line) => line.includes('modprobe')),
        [],
      );
    });
  });

  it('changes nothing unasked', async () => {
    const ran: string[] = [];
    await check(machine({ ...withoutModule, onDisk: ['vhost_vsock'] }), {}, ran);
    assert.deepEqual(
      ran.filter((line) => !line.startsWith('/usr/bin/qemu-system-x86_64 ')),
      [],
    );
  });
});
