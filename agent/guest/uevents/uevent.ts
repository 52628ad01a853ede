// What the kernel says of one device (Documentation/ABI of sysfs, lib/kobject_uevent.c): pure, bytes in, a value out.

export interface Uevent {
  /** `add`, `remove`, `change`, `move`, `online`, `offline`, `bind`, `unbind`. */
  readonly action: string;
  /** Below the mount of sysfs, with a leading slash: `/devices/pci0000:00/0000:00:03.0`. */
  readonly path: string;
  /** `block`, `pci`, `net`; empty for what belongs to none. */
  readonly subsystem: string;
}

/** Undefined for bytes that are no message of the kernel's: udev's daemon and hostile senders use other forms. */
export function parseUevent(message: Uint8Array): Uevent | undefined {
  const [heading = '', ...pairs] = Buffer.from(message.buffer, message.byteOffset, message.length).toString('latin1').split('\0');
  const at = heading.indexOf('@');
  const action = heading.slice(0, Math.max(at, 0));
  const path = heading.slice(at + 1);
  if (!/^[a-z]{1,32}$/.test(action) || !path.startsWith('/')) return undefined;
  return { action, path, subsystem: valueIn(pairs, 'SUBSYSTEM') };
}

function valueIn(pairs: readonly string[], key: string): string {
  const prefix = `${key}=`;
  return pairs.find((pair) => pair.startsWith(prefix))?.slice(prefix.length) ?? '';
}
