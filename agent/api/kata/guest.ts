// Kata's RPCs on the guest itself: CPUs, memory, clock, entropy, swap, and the mounts that containers share.
import { google, grpc } from '#proto/kata.js';
import { remountEphemeral } from '../../container/storage/remount.ts';
import { addSwapDisk, addSwapPath } from '../../container/storage/swap.ts';
import { setClock } from '../../guest/clock.ts';
import { onlineCpus, onlineMemory, probeMemory } from '../../guest/cpu-memory.ts';
import { addEntropy } from '../../guest/entropy.ts';
import type { Method } from '../../rpc/service.ts';
import type { GuestHost } from '../../sandbox/guest-host.ts';
import { kataMethod } from './method.ts';
import { toStorages } from './storages.ts';

const { Empty } = google.protobuf;
const rules = { systemError: 'internal' } as const;

export function guestMethods(host: GuestHost): Method[] {
  return [
    // nbCpus is a total, whatever its name says, and `wait` has no meaning (kata-agent.md §3.12).
    kataMethod(
      'OnlineCPUMem',
      grpc.OnlineCPUMemRequest,
      Empty,
      async ({ nbCpus, cpuOnly }, { signal }) => {
        if (nbCpus > 0) await onlineCpus(nbCpus, { sysDir: host.sysDir, signal });
        if (!cpuOnly) await onlineMemory(host);
        host.memoryResized();
        return {};
      },
      rules,
    ),

    kataMethod(
      'MemHotplugByProbe',
      grpc.MemHotplugByProbeRequest,
      Empty,
      async ({ memHotplugProbeAddr }) => {
        await probeMemory(memHotplugProbeAddr, host);
        return {};
      },
      rules,
    ),

    kataMethod(
      'SetGuestDateTime',
      grpc.SetGuestDateTimeRequest,
      Empty,
      ({ Sec, Usec }) => {
        setClock(Sec, Usec, host.door);
        return {};
      },
      rules,
    ),

    kataMethod(
      'ReseedRandomDev',
      grpc.ReseedRandomDevRequest,
      Empty,
      async ({ data }) => {
        await addEntropy(data, host.door);
        return {};
      },
      rules,
    ),

    kataMethod(
      'AddSwap',
      grpc.AddSwapRequest,
      Empty,
      async ({ PCIPath }) => {
        await addSwapDisk(PCIPath, host, host.door);
        return {};
      },
      rules,
    ),

    kataMethod(
      'AddSwapPath',
      grpc.AddSwapPathRequest,
      Empty,
      async ({ path }) => {
        await addSwapPath(path, host.door);
        return {};
      },
      rules,
    ),

    kataMethod(
      'RemoveStaleVirtiofsShareMounts',
      grpc.RemoveStaleVirtiofsShareMountsRequest,
      Empty,
      async () => {
        await host.sharedMounts.refresh();
        return {};
      },
      rules,
    ),

    kataMethod(
      'UpdateEphemeralMounts',
      grpc.UpdateEphemeralMountsRequest,
      Empty,
      async ({ storages }) => {
        await remountEphemeral(toStorages(storages), host.door);
        return {};
      },
      rules,
    ),
  ];
}
