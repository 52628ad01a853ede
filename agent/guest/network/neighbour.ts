// Entries of the ARP and neighbour discovery tables. Pure.
import type { IpAddress } from './checked.ts';
import { command, type IpCommand } from './ip-command.ts';

export interface Neighbour {
  readonly to: IpAddress;
  readonly device: string;
  /** Empty where there is none. */
  readonly hwAddr: string;
  /** NUD_ bits of linux/neighbour.h; 0 is permanent. */
  readonly state: number;
  /** NTF_ bits of linux/neighbour.h */
  readonly flags: number;
}

const NUD_PERMANENT = 0x80;
const NTF_PROXY = 0x08;
/** The other bits are the kernel's own or a bridge's; it ignores them here. */
const FLAG_WORDS: readonly (readonly [number, string])[] = [
  [0x01, 'use'],
  [0x10, 'extern_learn'],
  [0x80, 'router'],
];

/** A proxy entry says whom the guest answers for and has no MAC address of its own. */
export function replaceNeighbour({ to, device, hwAddr, state, flags }: Neighbour): IpCommand {
  const isProxy = (flags & NTF_PROXY) !== 0;
  return command(
    `neighbour ${to.address} on ${device}`,
    ...['neighbour', 'replace', ...(isProxy ? ['proxy'] : []), to.address],
    ...(hwAddr === '' || isProxy ? [] : ['lladdr', hwAddr]),
    ...['dev', device, 'nud', `0x${(state === 0 ? NUD_PERMANENT : state).toString(16)}`],
    ...FLAG_WORDS.filter(([bit]) => (flags & bit) !== 0).map(([, word]) => word),
  );
}
