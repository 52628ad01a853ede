// Variables in which a device plugin tells a container where its PCI devices are: `PCIDEVICE_<resource>=<address>,...` and
// `PCIDEVICE_<resource>_INFO=<JSON>`. The addresses are the host's; the container needs the guest's.
import { AgentError } from '../../errors.ts';

const VARIABLE = /^PCIDEVICE_/;
const ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/i;
const ADDRESSES_WITHIN = /(?<![0-9a-f:.])[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?![0-9a-f])/gi;

/**
 * The environment with the guest's addresses; as it is for a container without such devices.
 * @param guestAddresses by the host's, in lower case
 * @throws invalid_argument for a device that the container was not given
 */
export function translatePciEnv(env: readonly string[], guestAddresses: ReadonlyMap<string, string>): string[] {
  if (guestAddresses.size === 0) return [...env];
  return env.map((entry) => {
    const equals = entry.indexOf('=');
    const name = entry.slice(0, Math.max(equals, 0));
    return VARIABLE.test(name) ? `${name}=${translate(name, entry.slice(equals + 1), guestAddresses)}` : entry;
  });
}

function translate(name: string, value: string, guestAddresses: ReadonlyMap<string, string>): string {
  // One pass over the text: a guest's address may be another device's on the host.
  if (name.endsWith('_INFO')) {
    return value.replace(ADDRESSES_WITHIN, (address) => guestAddresses.get(address.toLowerCase()) ?? address);
  }
  const addresses = value.split(',');
  if (!addresses.every((address) => ADDRESS.test(address))) return value;
  return addresses.map((address) => guestAddresses.get(address.toLowerCase()) ?? refuse(name, address)).join(',');
}

function refuse(name: string, address: string): never {
  throw new AgentError('invalid_argument', `process.env: ${name}: no device of this container is at host address ${address}`, {
    fields: { field: 'process.env', variable: name },
  });
}
