// The containers of a guest, for the verbs that look before they act.
import { type ContainerInfo, containerInfo } from '../api/container-info.ts';
import type { Guest } from '../api/guest.ts';

/** All there are, oldest first. */
export async function listContainers(guest: Guest): Promise<ContainerInfo[]> {
  return (await guest.containers()).map(containerInfo);
}

export function isUp({ state }: ContainerInfo): boolean {
  return state === 'running' || state === 'paused';
}
