// Kata's RPCs on the guest itself, from request bytes to response bytes: codes and texts.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { grpc } from '#proto/kata.js';
import { disabledMethods } from '../../../../agent/api/kata/disabled.ts';
import { guestMethods } from '../../../../agent/api/kata/guest.ts';
import { SharedMounts } from '../../../../agent/container/storage/shared-mounts.ts';
import { VolumeStatsReader } from '../../../../agent/container/storage/volume-stats.ts';
import { hasCode } from '../../../../agent/errors.ts';
import { FileCopier } from '../../../../agent/guest/files/file-copier.ts';
import { GuestMetrics } from '../../../../agent/guest/metrics/metrics.ts';
import type { GuestHost } from '../../../../agent/sandbox/guest-host.ts';
import { native } from '../../../../native/index.ts';
import { fakeKernel } from '../../../support/fake-kernel.ts';
import { recordingDoor } from '../../container/storage/recording-door.ts';
import { callMethod } from './call-method.ts';

describe("Kata's calls on the guest", () => {
  let sysDir: string;
  let done: unknown[];

  beforeEach(async () => {
    sysDir = await mkdtemp(join(tmpdir(), 'berth-guest-'));
    done = [];
    await mkdir(join(sysDir, 'devices/system/cpu/cpu1'), { recursive: true });
    await mkdir(join(sysDir, 'devices/system/memory/memory9'), { recursive: true });
    await writeFile(join(sysDir, 'devices/system/cpu/online'), '0-1\n');
    await writeFile(join(sysDir, 'devices/system/cpu/cpu1/online'), '0\n');
    await writeFile(join(sysDir, 'devices/system/memory/memory9/online'), '0\n');
  });
  afterEach(() => rm(sysDir, { recursive: true }));

  const host = (): GuestHost => ({
    door: {
      ...recordingDoor(),
      growXfs: async () => {},
      setTimeOfDay: (...time) => void done.push(time),
      addEntropy: async (data) => void done.push([...data]),
      swapOn: async (...swap) => void done.push(swap),
    },
    sharedMounts: new SharedMounts({ mounts: async () => [] }),
    files: new FileCopier({ root: '/no/such', door: native() }),
    volumes: new VolumeStatsReader(),
    metrics: new GuestMetrics(),
    memoryResized: () => void done.push('resized'),
    uevents: fakeKernel().uevents,
    hotplugTimeoutMs: 10,
    sysDir,
    devDir: '/dev',
  });
  const call = (name: string, request: Uint8Array) => callMethod(guestMethods(host()), name, request);
  const state = async (device: string) => (await readFile(join(sysDir, 'devices/system', device, 'online'), 'utf8')).trim();

  it('take the number of CPUs as a total, and leave memory alone when told to', async () => {
    await call('OnlineCPUMem', grpc.OnlineCPUMemRequest.encode({ nbCpus: 2, cpuOnly: true }).finish());
    assert.deepEqual([await state('cpu/cpu1'), await state('memory/memory9')], ['0', '0']);
  });

  it('bring memory alone on line when no CPU is named', async () => {
    await call('OnlineCPUMem', new Uint8Array());
    assert.deepEqual([await state('cpu/cpu1'), await state('memory/memory9')], ['0', '1']);
    assert.deepEqual(done, ['resized'], 'the limits that follow from it are worked out anew');
  });

  it('set the clock, give entropy from field 2, add swap', async () => {
    await call('SetGuestDateTime', grpc.SetGuestDateTimeRequest.encode({ Sec: 2n ** 33n, Usec: 7n }).finish());
    await call('ReseedRandomDev', Uint8Array.of(0x12, 2, 5, 6));
    await call('AddSwapPath', grpc.AddSwapPathRequest.encode({ path: '/dev/x' }).finish());
    assert.deepEqual(done, [
      [2n ** 33n, 7],
      [5, 6],
      ['/dev/x', 0],
    ]);
  });

  it('answer an empty list of mounts, and mounts of nothing, with success', async () => {
    assert.equal((await call('UpdateEphemeralMounts', new Uint8Array())).length, 0);
    assert.equal((await call('RemoveStaleVirtiofsShareMounts', new Uint8Array())).length, 0);
  });

  for (const [name, request, code, text] of [
    ['ReseedRandomDev', new Uint8Array(), 'internal', 'missing entropy data'],
    ['SetGuestDateTime', grpc.SetGuestDateTimeRequest.encode({ Sec: -1n }).finish(), 'invalid_argument', 'Sec -1'],
    ['MemHotplugByProbe', grpc.MemHotplugByProbeRequest.encode({ memHotplugProbeAddr: [1n] }).finish(), 'internal', '0x1'],
    [
      'UpdateEphemeralMounts',
      grpc.UpdateEphemeralMountsRequest.encode({ storages: [{ driver: 'local' }] }).finish(),
      'internal',
      'Failed to update mounts: Unsupported storage type for syncing mounts local',
    ],
  ] as const) {
    it(`answer a bad ${name} with ${code} and "${text}"`, async () => {
      await assert.rejects(call(name, request), (error) => hasCode(error, code) && error.message.includes(text));
    });
  }

  it("answer the kernel's refusals with internal, a missing permission too", async () => {
    const refusing = host();
    const refuse = async () => {
      throw Object.assign(new Error('EPERM: Operation not permitted'), { code: 'EPERM' });
    };
    const door = { ...refusing.door, swapOn: refuse, addEntropy: refuse, setTimeOfDay: () => assert.fail('set') };
    const methods = guestMethods({ ...refusing, door });
    const request = grpc.AddSwapPathRequest.encode({ path: '/dev/x' }).finish();
    await assert.rejects(callMethod(methods, 'AddSwapPath', request), (error) => hasCode(error, 'internal'));
    await assert.rejects(callMethod(methods, 'ReseedRandomDev', Uint8Array.of(0x12, 1, 5)), (error) =>
      hasCode(error, 'internal'),
    );
  });

  for (const [name, code, text] of [
    ['MemAgentMemcgSet', 'internal', 'mem-agent is disabled'],
    ['MemAgentCompactSet', 'internal', 'mem-agent is disabled'],
    ['SetPolicy', 'unimplemented', '/grpc.AgentService/SetPolicy is not supported'],
  ] as const) {
    it(`answer ${name} as Kata's default build does`, async () => {
      await assert.rejects(
        callMethod(disabledMethods(), name, new Uint8Array()),
        (error) => hasCode(error, code) && error.message === text,
      );
    });
  }
});
