// Links of a case's own: a pair of veth that it makes and takes away, and a call that has to change nothing on it.
import type { ConformanceCase, Data, Refusal, Step } from '../case.ts';

export const MAC = '02:00:00:00:aa:%{nn}';
export const LINK: Step = { guest: `ip link add m%{n} address ${MAC} type veth peer name p%{n}` };
export const GONE: readonly Step[] = [
  { guest: 'ip link del m%{n} 2>/dev/null || ip link del k%{n} 2>/dev/null || ip link del p%{n}' },
];
export const V4 = { family: 0, address: '10.77.%{n}.5', mask: '24' };
export const V6 = { family: 1, address: 'fd77:%{n}::5', mask: '64' };
export const INTERFACE = { device: 'k%{n}', name: 'k%{n}', hwAddr: MAC, mtu: 1400, type: 'veth', IPAddresses: [V4, V6] };
export const UP: readonly Step[] = [LINK, { call: 'UpdateInterface', request: { interface: INTERFACE } }];

/** An address that is not yet known to be alone loses that mark by itself. */
const SHOWN = "ip addr show k%{n} | sed 's/ tentative//'; ip route show table main; ip neigh show dev k%{n} nud permanent";

/** A call that has to fail on a link that is there and stays as it is. @param family first part of the case's id */
export function refusedOnLink(family: string, rpc: string, id: string, request: Data, fails: Refusal): ConformanceCase {
  return {
    id: `${family}/${id}`,
    rpc,
    kind: 'bad-input',
    given: UP,
    steps: [
      { guest: SHOWN, as: 'before' },
      { call: rpc, request, fails },
      { guest: SHOWN, prints: '%{before}' },
    ],
    finally: GONE,
  };
}
