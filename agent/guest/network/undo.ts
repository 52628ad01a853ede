// The way back when half of an interface's update was done: from the links as they are to the links as they were. Pure.
import type { Prefix } from './checked.ts';
import { deleteAddress, freeName, rename, replaceAddress, setArp, setHwAddr, setMtu, setState } from './interface.ts';
import type { IpCommand } from './ip-command.ts';
import type { Link } from './link.ts';

/** Links are known by their index, which no change of ours touches. Routes that went with a link that was down are not undone. */
export function planUndo(before: readonly Link[], after: readonly Link[]): IpCommand[] {
  const changed = after.flatMap((now) => {
    const was = before.find(({ index }) => index === now.index);
    return was === undefined || sameLink(was, now) ? [] : [{ was, now }];
  });
  const renamed = changed.filter(({ was, now }) => was.name !== now.name);
  // Links may have swapped their names, so all of them let go of the new one first.
  const away = renamed.flatMap(({ now }, at) => [
    ...(now.isUp ? [setState(now.name, 'down')] : []),
    rename(now.name, betweenName(after, at)),
  ]);
  const back = renamed.map(({ was }, at) => rename(betweenName(after, at), was.name));
  return [...away, ...back, ...changed.flatMap(({ was, now }) => undoLink(was, now))];
}

function undoLink(was: Link, now: Link): IpCommand[] {
  const { name } = was;
  const isDown = was.name !== now.name || !now.isUp;
  const newMac = was.hwAddr !== now.hwAddr;
  const goesDown = !isDown && (newMac || !was.isUp);
  return [
    ...lacking(now.addresses, was.addresses).map((address) => deleteAddress(name, address)),
    ...(goesDown ? [setState(name, 'down')] : []),
    ...(newMac ? [setHwAddr(name, was.hwAddr)] : []),
    ...(was.mtu === now.mtu ? [] : [setMtu(name, was.mtu)]),
    ...(was.noArp === now.noArp ? [] : [setArp(name, was.noArp)]),
    ...lacking(was.addresses, now.addresses).map((address) => replaceAddress(name, address)),
    ...(was.isUp && (isDown || goesDown) ? [setState(name, 'up')] : []),
  ];
}

function betweenName(links: readonly Link[], at: number): string {
  // Each search starts behind the name found before it, or two links would get one name.
  let name = freeName(links);
  for (let round = 0; round < at; round++) name = freeName(links, Number(name.slice('berth-tmp'.length)) + 1);
  return name;
}

function sameLink(was: Link, now: Link): boolean {
  const plain = ({ name, hwAddr, mtu, isUp, noArp }: Link) => JSON.stringify([name, hwAddr, mtu, isUp, noArp]);
  const { addresses } = was;
  return plain(was) === plain(now) && lacking(addresses, now.addresses).length + lacking(now.addresses, addresses).length === 0;
}

/** Of `all` those that `some` has not; the kernel makes link-local ones itself as a link goes up. */
function lacking(all: readonly Prefix[], some: readonly Prefix[]): Prefix[] {
  return all.filter(
    ({ address, length }) =>
      !/^fe[89ab]/.test(address) && !some.some((other) => other.address === address && other.length === length),
  );
}
